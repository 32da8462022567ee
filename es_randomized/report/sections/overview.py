"""What every run has to show: how it learned, and how it does on every instance."""

from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from es_randomized.evaluation.evaluate import Score
from es_randomized.report.palette import FAINT, INK, PALETTE
from es_randomized.report.table import RUNS, number, percent

# Thinner and thinner, so that what lies beneath an equal value is seen.
CURVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("average", {"color": PALETTE[0], "linewidth": 3.0}),
    ("95th percentile", {"color": PALETTE[5], "linewidth": 2.0}),
    ("worst", {"color": PALETTE[3], "linewidth": 1.0}),
)
MOST_BINS, LOSS_BINS = 80, 24
CROWD = 500  # instances from which on single ones could not be seen on a linear axis
REFERENCE_DASHES = ((0, (1, 1)), (0, (4, 2, 1, 2)), (0, (2, 4)))


def learning_curve(axes: Any, metrics: pa.Table, score: Score) -> None:
    """Held-out success or loss over training time, the exact optimum, and the training loss."""
    rows, scale = metrics.to_pydict(), _scale(score)
    seconds = np.array(rows["seconds"])
    for column, (label, style) in zip(("held_out_average", "held_out_p95", "held_out_worst"), CURVES, strict=True):
        seen = [i for i, value in enumerate(rows[column]) if value is not None]
        axes.plot(seconds[seen], [scale * rows[column][i] for i in seen], label=label, **style)
    for name, value in _exact(score)[:1]:
        axes.axhline(scale * value, color=INK, linewidth=1, linestyle="--", label=f"{name}: {_shown(score, value)}")
    losses = _training_loss(axes, seconds, rows["loss_mean"], score)
    axes.set_ylabel(f"{_what(score)}, held-out draws{_unit(score)}")
    if score.headline == "success":
        axes.set_ylim(0, 103)
    axes.set_xlabel("training time (s)")
    axes.set_title("Learning", loc="left", color=INK)
    _legend(axes, [*axes.get_lines(), *losses])


def _training_loss(axes: Any, seconds: np.ndarray, losses: list[float], score: Score) -> list[Any]:
    """Draw the training loss; behind the curves and on an axis of its own where they are about success."""
    style = {"color": FAINT, "linewidth": 0.8, "label": "training loss", "zorder": 1}
    if score.headline == "loss":
        axes.plot(seconds, losses, **style)
        return []
    other = axes.twinx()
    lines = other.plot(seconds, losses, **style)
    other.set_ylabel("training loss", color=FAINT)
    other.set_ylim(bottom=0)
    axes.set_zorder(other.get_zorder() + 1)
    axes.patch.set_visible(False)
    return list(lines)


def histogram(axes: Any, score: Score, columns: int = 2) -> None:
    """Instances by their success or loss, and what is known exactly; `columns` are those of the legend."""
    scale = _scale(score)
    axes.hist(scale * score.per_instance, bins=scale * bins(score), color=PALETTE[4])
    for rate, (name, style) in zip(score.single, CURVES, strict=True):
        axes.axvline(scale * rate.value, label=f"{name}: {_shown(score, rate.value)}", **style)
    for (name, value), dashes in zip(_exact(score), REFERENCE_DASHES, strict=False):
        label = f"{name}: {_shown(score, value)}"
        axes.axvline(scale * value, color=INK, linewidth=1.2, linestyle=dashes, label=label)
    if len(score.per_instance) > CROWD:
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
    else:
        axes.yaxis.get_major_locator().set_params(integer=True)
    if score.headline == "success":
        axes.set_xlim(-3, 103)
    axes.set_xlabel(f"{_what(score)}, {RUNS[score.randomness].format(score.runs)}{_unit(score)}")
    axes.set_ylabel("instances")
    instances = f"{len(score.per_instance):,}{' (all)' if score.enumerated else ''}"
    axes.set_title(f"Every instance: {instances}", loc="left", color=INK)
    _legend(axes, axes.get_lines(), columns)


def bins(score: Score) -> Float[np.ndarray, " edge"]:
    """Bins of losses; or of rates, around equally many whole counts each, and thin where there are few runs."""
    if score.headline == "loss":
        return np.histogram_bin_edges(score.per_instance, LOSS_BINS)
    if score.runs < MOST_BINS // 2:
        rates, width = np.arange(score.runs + 1) / score.runs, min(0.05, 0.8 / score.runs)
        return np.ravel([rates - width / 2, rates + width / 2], order="F")
    per_bin = -(-score.runs // MOST_BINS)
    return (np.arange(0, score.runs + 1 + per_bin, per_bin) - 0.5) / score.runs


def _exact(score: Score) -> list[tuple[str, float]]:
    """What is known exactly, for the worst instance where there is a number for it."""
    exact = [reference for reference in score.references if reference.kind == "exact"]
    values = [(r.name, r.average if r.worst is None else r.worst) for r in exact]
    return [(name, value) for name, value in values if value is not None]


def _legend(axes: Any, lines: Any, columns: int = 2) -> None:
    """Below the axes, where it hides nothing."""
    axes.legend(
        handles=list(lines), loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=columns, frameon=False, fontsize=9
    )


def _what(score: Score) -> str:
    return "success" if score.headline == "success" else score.unit


def _unit(score: Score) -> str:
    return " (%)" if score.headline == "success" else ""


def _scale(score: Score) -> int:
    return 100 if score.headline == "success" else 1


def _shown(score: Score, value: float) -> str:
    return f"{percent(value)} %" if score.headline == "success" else number(value)
