"""The table that ends every evaluation: the learned policy, its twin, and what is known, side by side."""

from rich.table import Table
from rich.text import Text  # [no bound known, ...] as a string would be a tag

from es_randomized.evaluation.certificate import certificate, in_words
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.mixture import in_words as mixture_in_words
from es_randomized.evaluation.statistics import LEVELS

RUNS = {
    "seed": "{} fresh seeds",
    "none": "one frozen seed",
    "sampled": "{} samples of the output, one frozen seed",
    "dropout": "{} dropout masks, one frozen seed",
    "ensemble": "{} training runs, one frozen seed",
}


def score_table(score: Score) -> Table:
    """What is measured, with intervals: on average, at the worst 5 % of the instances, and at the worst one."""
    instances = f"{len(score.per_instance):,} instances{' (all)' if score.enumerated else ''}"
    measure = score.measure
    title = (
        f"{measure.label}, {instances} × {RUNS[score.randomness].format(score.runs)}, {score.confidence:.0%} intervals"
    )
    shares = score.by_run()
    caption = (
        f"Right in every run: {shares['always']:.2%} of the instances; in some: {shares['depends_on_seed']:.2%}; "
        f"in none: {shares['never']:.2%}."
    )
    if score.mixture:
        caption = f"{mixture_in_words(score.mixture, measure)}\n{caption}"
    if found := certificate(score):
        caption = f"{in_words(found, measure)}\n{caption}"
    table = Table(title=title, title_justify="left", caption=Text(caption, "table.caption"), caption_justify="left")
    table.add_column("policy")
    for column in LEVELS.values():
        table.add_column(column, justify="right")
    ways = {"learned, one run": score.single}
    if measure.counts_successes:
        ways |= {f"learned, majority of {k}": levels for k, levels in score.majority.items()}
        ways |= {f"learned, {k} runs pooled": levels for k, levels in score.pooled.items()}
        ways |= {f"learned, best of {k}": levels for k, levels in score.best_of.items()}
    if score.twin:
        ways["the same, seed frozen"] = score.twin
    for name, levels in ways.items():
        table.add_row(name, *(Text(measure.interval(estimate)) for estimate in levels))
    table.add_section()
    for name, worst in score.groups.items():
        table.add_row(f"worst {name}: number {worst.group}", "", "", Text(measure.interval(worst.estimate)))
    table.add_section()
    for reference in score.references:
        values = (reference.average, reference.p95, reference.worst)
        table.add_row(reference.name, *("–" if v is None else measure.text(v) for v in values), style="dim")
    return table
