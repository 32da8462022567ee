"""What the seed decides: which instances depend on it, how much of the variance is due to it, and a look at single runs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score, evaluation_bundles
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import repeated_runs
from es_randomized.evaluation.statistics import between_runs
from es_randomized.report.figures import NARROW, WIDE, Area, Axes, PageFigure, drawn, legend_below
from es_randomized.report.heat_map import heat_map
from es_randomized.report.material import Run, RunGroup
from es_randomized.report.palette import INK, PALE, PALETTE
from es_randomized.report.section import Section

INSTANCES, SEEDS = 16, 40  # of the look at single runs
SHARES: dict[str, tuple[str, dict[str, Any]]] = {
    "always": ("right under every seed", {"color": PALETTE[0]}),
    "depends_on_seed": ("depends on the seed", {"color": PALE, "hatch": "///"}),
    "never": ("right under none", {"color": PALETTE[5], "hatch": "xx"}),
}


class Looked(NamedTuple):
    """Some instances under some seeds.

    Attributes:
        instances: their numbers, from the hardest to the easiest.
        values: of what is measured.
        answers: how many different answers the seeds lead to.
    """

    instances: Int[np.ndarray, " instance"]
    values: Float[np.ndarray, "instance seed"]
    answers: Int[np.ndarray, " instance"]


def sections(groups: list[RunGroup]) -> list[Section]:
    """What the seed decides."""
    return [Section("seeds", "What the seed decides", figures=usage(groups))]


def usage(groups: list[RunGroup]) -> list[PageFigure]:
    """Which instances depend on the seed, and how much of the variance is the seed's; nothing before an evaluation."""
    evaluated = [run for group in groups for run in group.members if run.summary]
    shares = {run.name: share for run in evaluated if (share := variance_share(run)) is not None}
    figures = [_shares(evaluated)] if evaluated else []
    return [*figures, _variance(shares)] if shares else figures


def variance_share(run: Run) -> float | None:
    """The share of the variance, of the loss or else of success, that is between seeds of one instance.

    None where neither the losses nor the table of instances were kept.
    """
    if run.summary and "loss" in run.summary:
        return float(run.summary["loss"]["between_runs"])
    if run.score is None or run.score.runs < 2:
        return 0.0 if run.score else None
    rate, count = run.score.success.astype(float), run.score.runs
    return between_runs(rate, float(np.mean(rate * (1 - rate))) * count / (count - 1), count)


def _shares(evaluated: list[Run]) -> PageFigure:
    def draw(figure: Area) -> str:
        axes, left = figure.subplots(), np.zeros(len(evaluated))
        for name, (label, look) in SHARES.items():
            widths = np.array([100 * run.summary["by_seed"][name] for run in evaluated if run.summary])
            axes.barh(range(len(evaluated)), widths, left=left, label=label, edgecolor=INK, linewidth=0.8, **look)
            left += widths
        _rows(axes, [run.name for run in evaluated])
        axes.set_xlabel("share of the instances (%)")
        axes.set_title("Right under which seeds")
        legend_below(figure, axes)
        return "Shares of the instances by the seeds under which they are right. " + " ".join(map(_said, evaluated))

    caption = "Right under every seed of the evaluation, under some, under none: a policy that ignores its seed has no middle."
    return drawn("seed-shares", caption, (NARROW, 2.4 + 0.36 * len(evaluated)), draw)


def _said(run: Run) -> str:
    shares: Any = run.summary and run.summary["by_seed"]
    return f"{run.name}: " + ", ".join(f"{label} {shares[name]:.1%}" for name, (label, _) in SHARES.items()) + "."


def _variance(shares: dict[str, float]) -> PageFigure:
    def draw(figure: Area) -> str:
        axes = figure.subplots()
        values = [100 * share for share in shares.values()]
        bars = axes.barh(range(len(values)), values, color=PALETTE[0])
        axes.bar_label(bars, [f"{value:.1f} %" for value in values], padding=4)
        _rows(axes, list(shares))
        axes.set_xlim(0, 118)
        axes.set_xticks(range(0, 101, 25))
        axes.set_xlabel("share of the variance (%)")
        axes.set_title("Variance that is due to the seed")
        said = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        return f"Share of the variance that is due to the seed: {said}."

    caption = (
        "Of the variance of the loss (of success, where losses are not kept) over instances and seeds: what is between "
        "seeds of one instance. 0 for a policy that ignores its seed."
    )
    return drawn("seed-variance", caption, (NARROW, 1.8 + 0.36 * len(shares)), draw)


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def look(experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> Looked:
    """Single runs of instances spread evenly from the hardest to the easiest, under the evaluation's first seeds."""
    task = experiment.task
    hardest = task.measure.worst_first(score.per_instance)
    chosen = hardest[np.unique(np.linspace(0, len(hardest) - 1, INSTANCES).round().astype(int))]
    bundles, place = np.unique(chosen // task.bundle, return_inverse=True)
    repeated = repeated_runs(experiment, jnp.asarray(weights)[None], score.randomness, score.runs)
    shown = repeated._replace(seeds=jax.tree.map(lambda x: x[..., :SEEDS], repeated.seeds))
    kept = jax.tree.map(lambda x: np.asarray(x)[..., bundles], evaluation_bundles(experiment)[0])
    outcome = Outcomes(task, experiment.model)(shown, kept)
    rows = place * task.bundle + chosen % task.bundle
    values = task.measure.values(outcome)[rows].astype(float)
    answers = np.array([len(np.unique(row)) for row in np.asarray(outcome.answer)[rows]])
    return Looked(chosen, values, answers)


def draw_look(area: Area, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> str:
    """Instances by seeds: wrong or costly runs are dark; says in words what is to be seen."""
    looked = look(experiment, score, weights)
    axes, measure = area.subplots(), experiment.task.measure
    limits = (0.0, 1.0) if measure.counts_successes else (float(looked.values.min()), float(looked.values.max()))
    image = heat_map(axes, looked.values, limits, None, colours="Blues_r" if measure.higher_is_better else "Blues")
    image.axes.set_aspect("auto")
    axes.set_yticks(range(len(looked.instances)), [f"{n:,}" for n in looked.instances], fontsize=9)
    axes.set_ylabel("instance, hardest first")
    axes.set_xlabel(f"{looked.values.shape[1]} seeds")
    side = axes.secondary_yaxis("right")
    side.set_yticks(range(len(looked.answers)), [str(n) for n in looked.answers], fontsize=9)
    side.set_ylabel("different answers")
    mean = float(looked.values.mean())
    if measure.counts_successes:
        axes.set_title("Wrong runs are dark")
        said = f"{1 - mean:.1%} of the runs are wrong"
    else:
        axes.set_title(f"{measure.noun.capitalize()}, worse runs are darker")
        area.colorbar(image, ax=axes, location="bottom", label=measure.noun, aspect=40)
        said = f"{measure.noun} {measure.text(mean)} on average"
    return (
        f"{len(looked.instances)} instances from the hardest to the easiest under {looked.values.shape[1]} seeds: {said}; "
        f"the hardest has {looked.answers[0]} different answers, the easiest {looked.answers[-1]}."
    )


def look_figure(name: str, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> PageFigure:
    """The look at single runs as a figure."""
    caption = "Single runs. A column that is dark throughout is a seed that does badly everywhere."
    return drawn(name, caption, (WIDE, 4.8), lambda area: draw_look(area, experiment, score, weights))
