"""The table that ends every evaluation: the learned policy, its twin, and what is known, side by side."""

from rich.table import Table

from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.statistics import Estimate, Rates


def score_table(score: Score) -> Table:
    """Success in per cent with intervals: on average, at the worst 5 % of the instances, and at the worst one."""
    instances = f"{len(score.per_instance):,} instances{' (all)' if score.enumerated else ''}"
    title = f"success in %, {instances} × {score.seeds} fresh seeds, {score.confidence:.0%} intervals"
    shares = score.by_seed()
    caption = (
        f"Right with every seed: {shares['always']:.1%} of the instances; with some: {shares['depends_on_seed']:.1%}; "
        f"with none: {shares['never']:.2%}."
    )
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("policy")
    for column in ("average", "95th percentile", "worst"):
        table.add_column(column, justify="right")
    table.add_row("learned, one run", *_cells(score.single))
    for k, rates in score.majority.items():
        table.add_row(f"learned, majority of {k}", *_cells(rates))
    for k, rates in score.best_of.items():
        table.add_row(f"learned, best of {k}", *_cells(rates))
    table.add_row("the same, seed frozen", *_cells(score.twin), end_section=True)
    for reference in score.references:
        values = (reference.average, reference.p95, reference.worst)
        table.add_row(reference.name, *("–" if v is None else _percent(v) for v in values), style="dim")
    return table


def _cells(rates: Rates) -> list[str]:
    return [_cell(estimate) for estimate in rates]


def _cell(estimate: Estimate) -> str:
    if estimate.low == estimate.high:
        return _percent(estimate.value)
    return f"{_percent(estimate.value)} [{_percent(estimate.low)}, {_percent(estimate.high)}]"


def _percent(value: float) -> str:
    text = f"{100 * value:.1f}"
    # 100.0 is said of certainty only.
    return "99.9" if text == "100.0" and value < 1 else text
