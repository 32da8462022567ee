"""One picture of a run: how it learned, how it does on every instance, and one instance under six seeds."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from es_randomized import rng
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.outcomes import bind
from es_randomized.experiment import Experiment
from es_randomized.tasks.cycle_colouring import CycleColouring

# Okabe and Ito's palette: told apart by people with any kind of colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
INK, FAINT = "#222222", "#999999"
SEEDS_SHOWN = 6
HISTOGRAM_BINS = 80


def draw(path: Path, experiment: Experiment, metrics: pa.Table, score: Score, weights: Any) -> None:
    """Write the picture of a run to `path` (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(11, 6.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.9, 1])
    curve, histogram = upper.subplots(1, 2)
    _learning_curve(curve, metrics, score)
    _histogram(histogram, score)
    if isinstance(experiment.task, CycleColouring):
        _coloured_cycles(lower, experiment, experiment.task, score, weights)
    figure.savefig(path)


def _learning_curve(success: Any, metrics: pa.Table, score: Score) -> None:
    scale = 100 if score.headline == "success" else 1
    rows = metrics.to_pydict()
    seconds = np.array(rows["seconds"])
    for name, label, colour in (
        ("held_out_average", "average", PALETTE[0]),
        ("held_out_p95", "95th percentile", PALETTE[5]),
    ):
        seen = [i for i, value in enumerate(rows[name]) if value is not None]
        success.plot(seconds[seen], [scale * rows[name][i] for i in seen], color=colour, linewidth=1.8, label=label)
    what = "success" if score.headline == "success" else score.unit
    success.set_ylabel(f"{what} on held-out draws{' (%)' if score.headline == 'success' else ''}")
    success.set_ylim(0, 101 if score.headline == "success" else None)
    success.set_xlabel("training time (s)")
    success.set_title("Learning", loc="left", color=INK)
    losses = success.twinx()
    losses.plot(seconds, rows["loss_mean"], color=FAINT, linewidth=0.8, label="training loss, mean of members")
    losses.set_ylabel("loss", color=FAINT)
    losses.set_ylim(bottom=0)
    success.set_zorder(losses.get_zorder() + 1)  # success lines above the loss
    success.patch.set_visible(False)
    handles = [*success.get_lines(), *losses.get_lines()]
    success.legend(handles, [h.get_label() for h in handles], loc="center right", frameon=False, fontsize=9)


def _histogram(axes: Any, score: Score) -> None:
    instances = f"{len(score.per_instance):,}{' (all)' if score.enumerated else ''}"
    per_bin = -(-score.runs // HISTOGRAM_BINS)  # whole counts per bin, or bins would hold unequal numbers of rates
    edges = (np.arange(0, score.runs + 1 + per_bin, per_bin) - 0.5) * 100 / score.runs
    axes.hist(100 * score.per_instance, bins=edges, color=PALETTE[4])
    axes.set_yscale("log")
    axes.set_xlim(-1, 101)
    for value, label, colour in (
        (score.single.average.value, "average", INK),
        (score.single.p95.value, "95th percentile", PALETTE[5]),
        (score.single.worst.value, "worst", PALETTE[3]),
    ):
        axes.axvline(100 * value, color=colour, linewidth=1.6, linestyle="--", label=f"{label} {100 * value:.1f} %")
    axes.set_xlabel(f"success over {score.runs} fresh seeds (%)")
    axes.set_ylabel("instances")
    axes.set_title(f"Every instance: {instances}", loc="left", color=INK)
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _coloured_cycles(area: Any, experiment: Experiment, task: CycleColouring, score: Score, weights: Any) -> None:
    """The worst instance found, under six seeds; monochromatic edges are drawn thick and red."""
    instances = task.enumerate()
    if instances is None:
        key = rng.address(experiment.seed, rng.Purpose.EVALUATION_INSTANCES)
        instances = np.asarray(task.sample(key, experiment.evaluation.instances))
    worst = int(np.argmin(score.per_instance))
    cycle: Any = np.repeat(instances[:, [worst]], SEEDS_SHOWN, axis=1)
    seeds = task.seeds(rng.address(experiment.seed, rng.Purpose.EVALUATION_SEEDS, index=1), SEEDS_SHOWN)
    tokens, _ = task.observe(cycle, seeds)
    colours = np.argmax(np.asarray(bind(task, experiment.model, weights)(tokens)), axis=0)
    area.suptitle(
        f"The hardest cycle ({100 * score.per_instance[worst]:.1f} %) under six seeds", x=0.01, ha="left", color=INK
    )
    for axes, column in zip(area.subplots(1, SEEDS_SHOWN), colours.T, strict=True):
        _coloured_cycle(axes, cycle[:, 0], column)


def _coloured_cycle(axes: Any, vertices: np.ndarray, colours: np.ndarray) -> None:
    angle = 2 * np.pi * np.arange(len(vertices)) / len(vertices)
    x, y = np.sin(angle), np.cos(angle)
    clashes = 0
    for here in range(len(vertices)):
        there = (here + 1) % len(vertices)
        clash = colours[here] == colours[there]
        clashes += int(clash)
        line = {"color": "#C00000", "linewidth": 4} if clash else {"color": FAINT, "linewidth": 1.2}
        axes.plot(x[[here, there]], y[[here, there]], zorder=1, **line)
    axes.scatter(x, y, s=230, c=[PALETTE[c % len(PALETTE)] for c in colours], edgecolors=INK, zorder=2)
    for position, vertex in enumerate(vertices):
        axes.text(
            x[position], y[position], str(vertex + 1), ha="center", va="center", color="white", fontsize=8, zorder=3
        )
    axes.set_title("proper" if not clashes else f"{clashes} clash" + "es" * (clashes > 1), fontsize=9, color=INK)
    axes.set_aspect("equal")
    axes.set_xlim(-1.35, 1.35)
    axes.set_ylim(-1.35, 1.35)
    axes.axis("off")
