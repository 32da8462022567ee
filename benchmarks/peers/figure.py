"""The figure: every peer's losses by generation, which must lie on each other, and by time, which must not."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.peers.catalogue import OURS

SMOOTHED = 5  # generations
COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#7a9a01", "#555555", "#cc79a7", "#9467bd", "#8c564b")


def draw(curves: dict[str, dict[str, Any]], population: int, path: Path) -> None:
    """Write the figure of these curves: name -> seconds and losses, one entry per generation."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    by_generation, by_time = figure.subplots(1, 2, sharey=True)
    for index, (name, curve) in enumerate(curves.items()):
        losses = smooth(np.array(curve["losses"]))
        style: dict[str, Any] = {
            "color": COLOURS[index % len(COLOURS)],
            "linewidth": 2.4 if name in OURS else 1.2,
            "linestyle": "-" if index < len(COLOURS) else "--",
            "label": name,
        }
        by_generation.plot(np.arange(len(losses)), losses, **style)
        by_time.plot(np.cumsum(curve["seconds"])[: len(losses)], losses, **style)
    shortest = min(
        len(curve["losses"]) for name, curve in curves.items() if name not in OURS or len(curves) <= len(OURS)
    )
    by_generation.set(xlabel="generation", ylabel="loss, mean of the members", xlim=(0, 1.5 * shortest), yscale="log")
    by_time.set(xlabel="seconds, compilation included", xscale="log")
    for axes in (by_generation, by_time):
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*by_time.get_legend_handles_labels(), loc="outside right upper", fontsize=7, frameon=False)
    figure.suptitle(f"Same task, model, population of {population:,} and settings", fontsize=11)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)


def draw_race(found: dict[str, Any], path: Path) -> None:
    """Write the figure of a race: every run's success of the cycle at the worst 5 % by time, and where it arrived."""
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(found["seconds"]):
        for turn, racers in enumerate(found["rounds"]):
            curve = racers[name]["curve"]
            style: dict[str, Any] = {"color": COLOURS[2 * index], "linestyle": "-" if turn == 0 else "--"}
            label = name if turn == 0 else None
            axes.plot([each["seconds"] for each in curve], [each["p95"] for each in curve], label=label, **style)
            if racers[name]["generation"] is not None:
                axes.plot(curve[-1]["seconds"], curve[-1]["p95"], "o", color=COLOURS[2 * index])
    axes.axhline(found["success"], color="0.6", linewidth=0.8)
    axes.set(
        xlabel="seconds of training, compilation included", ylabel="success of the cycle at the worst 5 %", xscale="log"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.set_title(f"To {found['success']:.1%}, population {found['population']:,}; a line a seed", fontsize=11)
    figure.savefig(path, dpi=130)


def smooth(losses: np.ndarray) -> np.ndarray:
    """The mean of each generation and those just before it."""
    sums = np.cumsum(np.insert(losses, 0, 0.0))
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(0, ends - SMOOTHED)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))
