"""Parallel coordinates of a sweep: a line for every point, from its settings to its score."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.report.figures import BEST_STYLES, NARROW, WIDE, Area, PageFigure, drawn, wrapped
from es_randomized.report.palette import FAINT, INK
from es_randomized.report.sweep.trials import SweepTrials, shown

FEW_AXES = 4  # have room on a narrow figure, which can be read on a phone
WIDE_RANGE = 20.0  # largest over smallest from which on an axis is logarithmic
BEST = len(BEST_STYLES)
TICK_HEIGHT = 0.05  # of an axis, that a number on it takes

_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}


class Scale(NamedTuple):
    """An axis: where its values are, from 0 at the bottom to 1 at the top, and what is written where."""

    at: Float[np.ndarray, " point"]
    ticks: dict[float, str]


def parallel_coordinates(name: str, trials: SweepTrials) -> PageFigure | None:
    """A line for every point over an axis for every setting and one for the score; None where there is no score."""
    points, names = trials.points, trials.settings
    if not points or not names:
        return None
    scores = [trials.score.scale * point.estimate.value for point in points]
    scales = [*(scale([point.rows[0][setting] for point in points]) for setting in names), scale(scores)]
    lines = np.stack([axis.at for axis in scales], axis=1)
    width = NARROW if len(scales) <= FEW_AXES else WIDE

    def draw(figure: Area) -> str:
        axes = figure.subplots()
        x = np.arange(len(scales))
        for point, line in list(zip(points, lines, strict=True))[: BEST - 1 : -1]:
            dashes = "-" if point.finished else ":"
            axes.plot(x, line, color=FAINT, alpha=0.6, linewidth=0.8, linestyle=dashes)
        for look, point, line in zip(BEST_STYLES, points, lines, strict=False):
            axes.plot(x, line, linewidth=2, label=wrapped(trials.label(point), width), zorder=3, **look)
        for place, axis in zip(x, scales, strict=True):
            axes.axvline(float(place), color=INK, linewidth=0.8, zorder=1)
            for height, text in axis.ticks.items():
                axes.text(place + 0.2 / width, height, text, fontsize=8, va="center", color=INK, zorder=4, bbox=_PAPER)
        axes.set_xticks(x, [*map(_broken, names), wrapped(trials.score.label, 1.3)], fontsize=9)
        axes.tick_params(length=0)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_xlim(-0.1, len(scales) - 0.6)
        first = "" if len({point.finished for point in points}) == 1 else ", those trained to the end first"
        title = f"Best of {len(points)}{first}"
        figure.legend(loc="outside lower left", title=title, title_fontsize=9, alignment="left")
        return _said(trials)

    several = " (mean over its training seeds)" if any(len(point.rows) > 1 for point in points) else ""
    caption = (
        f"A line is a point of the sweep: from left to right its settings, at the right the {trials.score.label}"
        f"{several}, where lower is better. Dotted: not trained to the end."
    )
    return drawn(f"{name}-parallel", caption, (width, 4.8), draw)


def scale(values: list[Any]) -> Scale:
    """Where values are on their axis: numbers by size, or by its logarithm over a wide range; others in order."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = np.array(values, float)
        logarithmic = numbers.min() > 0 and numbers.max() > WIDE_RANGE * numbers.min()
        size = np.log(numbers) if logarithmic else numbers
        low, span = size.min(), np.ptp(size) or 1.0
        at = (size - low) / span if np.ptp(size) else np.full(len(size), 0.5)
        distinct = np.unique(numbers)
        marks = distinct if len(distinct) <= 6 else np.array([distinct[0], distinct[-1]])
        heights = {float(at[np.flatnonzero(numbers == mark)[0]]): shown(float(mark)) for mark in marks}
        return Scale(at, apart(heights))
    texts = [shown(value) for value in values]
    order = sorted(set(texts))
    height = {text: (index + 0.5) / len(order) for index, text in enumerate(order)}
    return Scale(np.array([height[text] for text in texts]), {height[text]: text for text in order})


def apart(ticks: dict[float, str]) -> dict[float, str]:
    """Ticks that can be read: the lowest and the highest, and between them those that do not touch another."""
    highest, kept = max(ticks), dict[float, str]()
    for height in sorted(ticks):
        clear = not kept or height - max(kept) >= TICK_HEIGHT
        if height == highest or (clear and (not kept or highest - height >= TICK_HEIGHT)):
            kept[height] = ticks[height]
    return kept


def _broken(name: str) -> str:
    """A dotted name over two lines."""
    section, _, rest = name.rpartition(".")
    return f"{section}.\n{rest}" if section else name


def _said(trials: SweepTrials) -> str:
    best = "; ".join(
        f"{trials.label(point)} with {', '.join(f'{name} {shown(point.rows[0][name])}' for name in trials.settings)}"
        for point in trials.points[:BEST]
    )
    return (
        f"Parallel coordinates of {len(trials.points)} points of {trials.name} to their {trials.score.label}. The best: "
        f"{best}."
    )
