"""What every run has to show: how it learned, and how it does on every instance."""

from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from es_randomized.evaluation.evaluate import Score
from es_randomized.report.figures import Axes
from es_randomized.report.palette import FAINT, INK, PALETTE
from es_randomized.report.table import RUNS

# Thinner and thinner, so that what lies beneath an equal value is seen.
CURVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("average", {"color": PALETTE[0], "linewidth": 3.0}),
    ("95th percentile", {"color": PALETTE[5], "linewidth": 2.0}),
    ("worst", {"color": PALETTE[3], "linewidth": 1.0}),
)
MOST_BINS, VALUE_BINS = 80, 24
CROWD = 500  # instances from which on single ones could not be seen on a linear axis
REFERENCE_DASHES = ((0, (1, 1)), (0, (4, 2, 1, 2)), (0, (2, 4)))


def learning_curve(axes: Axes, metrics: pa.Table, score: Score) -> None:
    """What is measured on held-out draws over training time, the exact optimum, and the training loss."""
    rows, measure = metrics.to_pydict(), score.measure
    seconds = np.array(rows["seconds"])
    for column, (label, style) in zip(("held_out_average", "held_out_p95", "held_out_worst"), CURVES, strict=True):
        seen = [i for i, value in enumerate(rows[column]) if value is not None]
        axes.plot(seconds[seen], [measure.scale * rows[column][i] for i in seen], label=label, **style)
    for name, value in _exact(score)[:1]:
        label = f"{name}: {measure.with_unit(value)}"
        axes.axhline(measure.scale * value, color=INK, linewidth=1, linestyle="--", label=label)
    losses = _training_loss(axes, seconds, rows["loss_mean"], score)
    axes.set_ylabel(f"{measure.noun}, held-out draws{measure.percent_sign}")
    axes.set_ylim(measure.limits)
    axes.set_xlabel("training time (s)")
    axes.set_title("Learning", loc="left", color=INK)
    _legend(axes, [*axes.get_lines(), *losses])


def _training_loss(axes: Axes, seconds: np.ndarray, losses: list[float], score: Score) -> list[Any]:
    """Draw the training loss; behind the curves and on an axis of its own where they are about something else."""
    style: dict[str, Any] = {"color": FAINT, "linewidth": 0.8, "label": "training loss", "zorder": 1}
    if score.measure.name == "loss":
        axes.plot(seconds, losses, **style)
        return []
    other = axes.twinx()
    lines = other.plot(seconds, losses, **style)
    other.set_ylabel("training loss", color=FAINT)
    if all(loss >= 0 for loss in losses):
        other.set_ylim(bottom=0)
    axes.set_zorder(other.get_zorder() + 1)
    axes.patch.set_visible(False)
    return list(lines)


def histogram(axes: Axes, score: Score, columns: int = 2) -> None:
    """Instances by what is measured of them, and what is known exactly; `columns` are those of the legend."""
    measure, scale = score.measure, score.measure.scale
    axes.hist(scale * score.per_instance, bins=(scale * bins(score)).tolist(), color=PALETTE[4])
    for rate, (name, style) in zip(score.single, CURVES, strict=True):
        axes.axvline(scale * rate.value, label=f"{name}: {measure.with_unit(rate.value)}", **style)
    for (name, value), dashes in zip(_exact(score), REFERENCE_DASHES, strict=False):
        label = f"{name}: {measure.with_unit(value)}"
        axes.axvline(scale * value, color=INK, linewidth=1.2, linestyle=dashes, label=label)
    if len(score.per_instance) > CROWD:
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
    else:
        axes.locator_params(axis="y", integer=True)
    if measure.limits:
        axes.set_xlim(-3, measure.limits[1])
    axes.set_xlabel(f"{measure.noun}, {RUNS[score.randomness].format(score.runs)}{measure.percent_sign}")
    axes.set_ylabel("instances")
    instances = f"{len(score.per_instance):,}{' (all)' if score.enumerated else ''}"
    axes.set_title(f"Every instance: {instances}", loc="left", color=INK)
    _legend(axes, axes.get_lines(), columns)


def bins(score: Score) -> Float[np.ndarray, " edge"]:
    """Bins of values; or of success rates, around equally many whole counts each, and thin where there are few runs."""
    if not score.measure.counts_successes:
        return value_bins(score.per_instance)
    if score.runs < MOST_BINS // 2:
        rates, width = np.arange(score.runs + 1) / score.runs, min(0.05, 0.8 / score.runs)
        return np.ravel([rates - width / 2, rates + width / 2], order="F")
    per_bin = -(-score.runs // MOST_BINS)
    return (np.arange(0, score.runs + 1 + per_bin, per_bin) - 0.5) / score.runs


def value_bins(values: Float[np.ndarray, " instance"]) -> Float[np.ndarray, " edge"]:
    """Bins of equal width that can be told apart: values may be equal, and so large that they differ by rounding alone."""
    low, high = float(values.min()), float(values.max())
    room = 0.0 if high - low > 1e-6 * max(abs(low), abs(high)) else 0.5 * max(1.0, abs(low), abs(high))
    return np.linspace(low - room, high + room, VALUE_BINS + 1)


def _exact(score: Score) -> list[tuple[str, float]]:
    """What is known exactly, for the worst instance where there is a number for it."""
    exact = [reference for reference in score.references if reference.kind != "paper"]
    values = [(r.name, r.average if r.worst is None else r.worst) for r in exact]
    return [(name, value) for name, value in values if value is not None]


def _legend(axes: Axes, lines: Any, columns: int = 2) -> None:
    """Below the axes, where it hides nothing."""
    axes.legend(
        handles=list(lines), loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=columns, frameon=False, fontsize=9
    )
