"""The table that ends every evaluation: the learned policy, its twin, and what is known, side by side."""

from collections.abc import Callable

from rich.table import Table

from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.statistics import Estimate, Rates

RUNS = {
    "seed": "{} fresh seeds",
    "none": "one frozen seed",
    "sampled": "{} samples of the output, one frozen seed",
    "dropout": "{} dropout masks, one frozen seed",
    "ensemble": "{} training runs, one frozen seed",
}


def score_table(score: Score) -> Table:
    """The headline with intervals: on average, at the worst 5 % of the instances, and at the worst one."""
    instances = f"{len(score.per_instance):,} instances{' (all)' if score.enumerated else ''}"
    what = "success in %" if score.headline == "success" else f"{score.unit} (lower is better)"
    title = f"{what}, {instances} × {RUNS[score.randomness].format(score.runs)}, {score.confidence:.0%} intervals"
    show = percent if score.headline == "success" else number
    shares = score.by_run()
    caption = (
        f"Right in every run: {shares['always']:.1%} of the instances; in some: {shares['depends_on_seed']:.1%}; "
        f"in none: {shares['never']:.2%}."
    )
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("policy")
    for column in ("average", "95th percentile", "worst"):
        table.add_column(column, justify="right")
    table.add_row("learned, one run", *_cells(score.single, show))
    if score.headline == "success":
        for k, rates in score.majority.items():
            table.add_row(f"learned, majority of {k}", *_cells(rates, show))
        for k, rates in score.best_of.items():
            table.add_row(f"learned, best of {k}", *_cells(rates, show))
    if score.twin:
        table.add_row("the same, seed frozen", *_cells(score.twin, show))
    table.add_section()
    for name, worst in score.groups.items():
        table.add_row(f"worst {name}: number {worst.group}", "", "", cell(worst.rate, show))
    table.add_section()
    for reference in score.references:
        values = (reference.average, reference.p95, reference.worst)
        table.add_row(reference.name, *("–" if v is None else show(v) for v in values), style="dim")
    return table


def _cells(rates: Rates, show: Callable[[float], str]) -> list[str]:
    return [cell(estimate, show) for estimate in rates]


def cell(estimate: Estimate, show: Callable[[float], str]) -> str:
    """A number with its interval, if it has one."""
    if estimate.low == estimate.high:
        return show(estimate.value)
    return f"{show(estimate.value)} [{show(estimate.low)}, {show(estimate.high)}]"


def number(value: float) -> str:
    """A loss as people read it."""
    return f"{value:.2f}"


def percent(value: float) -> str:
    """A rate in percent; 100.0 is said of certainty only."""
    text = f"{100 * value:.1f}"
    return "99.9" if text == "100.0" and value < 1 else text
