"""Learning curves of a sweep: the best settings stand out from all the others."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from es_randomized.evaluation.statistics import Estimate
from es_randomized.report.figures import BEST_STYLES, NARROW, Area, Axes, PageFigure, drawn, grid, wrapped
from es_randomized.report.material import CONFIDENCE
from es_randomized.report.palette import FAINT
from es_randomized.report.sections.curves import MOST_MARKERS, Checks, band, checks
from es_randomized.report.sweep.trials import Point, SweepTrials
from es_randomized.runs.checkpoint import metrics_of
from es_randomized.runs.folder import RunFolder

BEST = len(BEST_STYLES)


class Learned(NamedTuple):
    """How a point learned.

    Attributes:
        checks: scores of its trials, as far as all of them came.
        estimates: their mean with its interval at every check.
    """

    point: Point
    checks: Checks
    estimates: list[Estimate]

    def last(self) -> float:
        """The mean score at the last check."""
        return self.estimates[-1].value


def sweep_learning(name: str, trials: SweepTrials) -> PageFigure | None:
    """The score on held-out draws while the trials trained; None where no trial's folder is there."""
    learned = [curve for point in trials.points if (curve := _learned(trials, point))]
    if not learned:
        return None
    by_rollouts = len({int(curve.checks.rollouts[0] // curve.checks.generation[0]) for curve in learned}) > 1

    def draw(figure: Area) -> str:
        axes = figure.subplots()
        scale, best, others = trials.score.scale, learned[:BEST], learned[BEST:]
        for curve in reversed(others):
            values = scale * np.array([estimate.value for estimate in curve.estimates])
            axes.plot(_along(curve, by_rollouts), values, color=FAINT, alpha=0.4, linewidth=0.8, zorder=1)
        for rank, curve in enumerate(best):
            _strong(axes, rank, _along(curve, by_rollouts), curve, scale, wrapped(trials.label(curve.point), NARROW))
        axes.set_ylim(trials.score.measure.limits or limits(best, others))
        if by_rollouts:
            axes.set_xscale("log")  # the rollouts of one point may be a fraction of another's
        else:
            axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("rollouts" if by_rollouts else "generation")
        axes.set_ylabel(trials.score.label)
        axes.set_title("Learning, held-out draws")
        grid(axes)
        _legend(figure, axes, len(others))
        return _said(trials, best, others)

    return drawn(f"{name}-learning", _caption(trials, learned), (NARROW, 4.4 + 0.25 * min(BEST, len(learned))), draw)


def _learned(trials: SweepTrials, point: Point) -> Learned | None:
    """Scores at the checks of those trials of a point that have come to one."""
    score = trials.score
    if score.column is None:
        return None
    runs = [RunFolder(trials.folder / row["trial"]) for row in point.rows]
    tables = [
        metrics_of(run).filter(pc.field("held_out_average").is_valid()) for run in runs if run.experiment_file.exists()
    ]
    looked = [table for table in tables if len(table)]
    if not looked:
        return None
    held_out = checks(looked, score.column)
    if not len(held_out.generation):
        return None
    held_out = held_out._replace(values=score.measure.as_loss(held_out.values))
    return Learned(point, held_out, band(held_out, score.bounds))


def _along(learned: Learned, by_rollouts: bool) -> Any:
    return learned.checks.rollouts if by_rollouts else learned.checks.generation


def _strong(axes: Axes, rank: int, x: Any, learned: Learned, scale: int, label: str) -> None:
    """The curve of one of the best, with intervals at its markers: bands would hide the others."""
    look, step = BEST_STYLES[rank], max(1, len(x) // MOST_MARKERS)
    marked = slice(rank * step // BEST, None, step)
    middle, low, high = scale * np.array(learned.estimates, float).T
    axes.plot(x, middle, label=label, linewidth=2, markersize=5, markevery=marked, zorder=4 - rank, **look)
    if len(learned.checks.values) > 1:
        ends = [(middle - low)[marked], (high - middle)[marked]]
        axes.errorbar(
            x[marked], middle[marked], ends, fmt="none", color=look["color"], linewidth=1, capsize=3, zorder=2
        )


def limits(best: list[Learned], others: list[Learned]) -> tuple[float, float]:
    """All that the best went through, and some room above: a curve that diverges would leave none for the others."""
    strong = np.concatenate([curve.checks.values.ravel() for curve in best])
    every = np.append(strong, [estimate.value for curve in others for estimate in curve.estimates])
    if not np.isfinite(strong).any():
        return 0.0, 1.0
    low, high = every[np.isfinite(every)].min(), strong[np.isfinite(strong)].max()
    room = 0.25 * (high - low) or 1.0
    return float(low - 0.2 * room), float(high + room)


def _legend(figure: Area, axes: Axes, others: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if others:
        handles += axes.plot([], [], color=FAINT, linewidth=0.8)
        labels.append(f"the other {others}" if others > 1 else "the other one")
    figure.legend(handles, labels, loc="outside lower left")


def _said(trials: SweepTrials, best: list[Learned], others: list[Learned]) -> str:
    show = trials.score.shown
    text = " ".join(
        f"{curve.point.name}: from {show(curve.estimates[0].value)} to {show(curve.last())} after "
        f"{curve.checks.generation[-1]:,} generations."
        for curve in best
    )
    if others:
        last = [curve.last() for curve in others]
        text += f" The other {len(others)} end between {show(min(last))} and {show(max(last))}."
    return (
        f"Learning curves of {len(best) + len(others)} points of {trials.name}, {trials.score.label}. The best: {text}"
    )


def _caption(trials: SweepTrials, learned: list[Learned]) -> str:
    several = any(len(curve.checks.values) > 1 for curve in learned)
    seeds = (
        f" A curve is the mean over training seeds as far as all of them came, bars are its {CONFIDENCE:.0%} intervals."
        if several
        else ""
    )
    cut = "" if trials.score.measure.limits else " What is far above the best is cut off."
    return (
        "Every point of the sweep on instances and seeds that training never sees, lower is better; the best ones are drawn "
        f"strong, and what was given up ends early.{seeds}{cut} The legend has the scores of the table."
    )
