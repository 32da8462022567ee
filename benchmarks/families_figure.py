"""The pictures of docs/families.md, from benchmarks/results/families.json."""

from pathlib import Path
from typing import Any

import numpy as np

from es_randomized.report.palette import FAINT, INK, PALETTE

MARKERS = ("o", "s", "^", "D", "v", "P")
LEVELS = ("average", "95th percentile", "worst")
MINIMAX = 8.0  # of the 3 × 3 hunt with two episodes, tests/references/test_treasure_hunt.py

Rows = dict[str, Any]


def draw(rows: Rows, folder: Path) -> None:
    """A picture for every study that has results."""
    for study, drawing in {"turns": turns, "sharing": sharing, "memory": memory, "hunt": hunt}.items():
        if study in rows:
            drawing(rows[study]).savefig(folder / f"families-{study}.png")


def turns(rows: Rows) -> Any:
    """Success by turns at evaluation, a panel for every size of the cycle."""
    sizes = [name for name in next(iter(next(iter(rows.values())).values())) if name.isdigit()]
    figure = _figure(9, 4.2)
    panels = figure.subplots(1, len(sizes), sharey=True)
    for axes, size in zip(panels, sizes, strict=True):
        for number, (name, seeds) in enumerate(rows.items()):
            loops = [int(turn) for turn in next(iter(seeds.values()))[size]]
            values = 100 * np.array([[seed[size][str(turn)] for turn in loops] for seed in seeds.values()])
            _line(axes, loops, values, number, name)
        axes.set_title(f"{size} vertices" + ("" if size != sizes[0] else ", as in training"), loc="left", fontsize=11)
        axes.set_xlabel("turns at evaluation")
        axes.set_ylim(-2, 102)
    panels[0].set_ylabel("properly coloured (%)")
    panels[-1].legend(frameon=False, fontsize=8, title="trained with", title_fontsize=8)
    return figure


def sharing(rows: Rows) -> Any:
    """Held-out success by generation, and the agreement of two halves of a population beside what is expected."""
    figure = _figure(10, 4.2)
    by_generation, agreeing = figure.subplots(1, 2, width_ratios=(2, 1))
    for number, (name, seeds) in enumerate(rows.items()):
        curves = [np.array(seed["curve"]).T for seed in seeds.values()]
        generations = curves[0][0]  # checks come by time, so every seed has its own
        values = np.array([np.interp(generations, *curve) for curve in curves])
        parameters = next(iter(seeds.values()))["parameters"]
        _line(by_generation, generations, 100 * values, number, f"{name}, {parameters:,} parameters")
        agreeing.plot(
            [number] * len(seeds), [seed["cosine"] for seed in seeds.values()], MARKERS[0], color=PALETTE[number]
        )
        expected = next(iter(seeds.values()))["expected cosine"]
        agreeing.plot([number], [expected], "_", color=INK, ms=22, mew=2)
        if number == 0:
            agreeing.text(0.2, expected, "expected of slopes", va="center", color=INK, fontsize=9)
    by_generation.set_xlabel("generation")
    by_generation.set_ylabel("properly coloured (%)")
    by_generation.legend(frameon=False, fontsize=9)
    agreeing.set_xticks(range(len(rows)), rows)
    agreeing.set_xlim(-0.6, len(rows) - 0.4)
    agreeing.set_ylabel("cosine of two halves of a population")
    agreeing.set_ylim(bottom=0)
    return figure


def memory(rows: Rows) -> Any:
    """Success of one run and of five pooled, with a fresh and a frozen seed, by the memory."""
    ways = {"fresh": "one run, fresh seed", "frozen": "the same, seed frozen", "pooled of 5": "5 runs pooled"}
    figure = _figure(11, 4.4)
    panels = figure.subplots(1, len(LEVELS), sharey=True)
    for level, (axes, title) in enumerate(zip(panels, LEVELS, strict=True)):
        for number, way in enumerate(ways):
            for place, seeds in enumerate(rows.values()):
                values = [100 * seed[way][level] for seed in seeds.values()]
                spot = place + 0.24 * (number - 1)
                axes.plot([spot] * len(values), values, MARKERS[number], color=PALETTE[number], ms=5, alpha=0.6, mew=0)
                axes.plot([spot - 0.1, spot + 0.1], [np.median(values)] * 2, color=PALETTE[number], lw=2.5)
        names = [f"{name}\n{next(iter(seeds.values()))['memory']}" for name, seeds in rows.items()]
        axes.set_xticks(range(len(names)), names, fontsize=8, rotation=40)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylim(-2, 102)
    panels[0].set_ylabel("right answers (%)")
    for number, label in enumerate(ways.values()):
        panels[-1].plot([], [], MARKERS[number], color=PALETTE[number], label=label)
    figure.legend(
        *panels[-1].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False, fontsize=9
    )
    return figure


def hunt(rows: Rows) -> Any:
    """The worst treasure by generation."""
    figure = _figure(7, 4.2)
    axes = figure.subplots()
    for number, (name, seeds) in enumerate(rows.items()):
        curves = np.array([seed["curve"] for seed in seeds.values()])
        _line(axes, curves[0, :, 0], curves[..., 1], number, name)
    axes.axhline(MINIMAX, color=INK, linestyle="--", linewidth=1)
    axes.text(0, MINIMAX + 0.1, " exact minimax", color=INK, fontsize=9)
    axes.set_xlabel("generation")
    axes.set_ylabel("steps for the worst treasure (lower is better)")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _line(axes: Any, x: Any, values: Any, number: int, label: str) -> None:
    """The median of training seeds, and how far they reach."""
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=PALETTE[number], alpha=0.13, linewidth=0)
    axes.plot(
        x,
        np.median(values, axis=0),
        color=PALETTE[number],
        marker=MARKERS[number],
        ms=4,
        markevery=max(1, len(x) // 8),
        label=label,
    )
    axes.grid(color=FAINT, linewidth=0.4)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
