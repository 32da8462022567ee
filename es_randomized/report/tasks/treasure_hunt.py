"""A treasure hunt in pictures: how late every cell is visited, what every treasure costs, and the paths seeds choose."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int

from es_randomized.compilation import jit
from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.outcomes import bind
from es_randomized.evaluation.randomness import repeated_runs
from es_randomized.report.animation import walking
from es_randomized.report.figures import NARROW, WIDE, Area, Axes, PageFigure, drawn
from es_randomized.report.heat_map import heat_map
from es_randomized.report.palette import INK, PALETTE
from es_randomized.tasks.treasure_hunt import TreasureHunt

PATHS_SHOWN = 4


def draw(area: Area, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> None:
    """Two grids of mean steps and the most frequent first episodes, all on one scale of steps."""
    task: Any = experiment.task
    paths = explored(experiment, score, weights)
    axes = area.subplots(1, 2 + PATHS_SHOWN, width_ratios=[1.25, 1.25, *[1] * PATHS_SHOWN])
    draw_steps(area, list(axes[:2]), task, score, paths)
    draw_paths(list(axes[2:]), task, score, paths)
    area.suptitle(_title(task, len(np.unique(paths, axis=1).T), score.runs), x=0.01, ha="left", color=INK)


def figures(name: str, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> list[PageFigure]:
    """Steps, the most frequent first episodes, and agents that walk."""
    task: Any = experiment.task
    paths = explored(experiment, score, weights)
    one = score.runs == 1

    def steps(area: Area) -> str:
        return draw_steps(area, list(area.subplots(1, 2)), task, score, paths)

    def routes(area: Area) -> str:
        return draw_paths(list(area.subplots(1, 1 if one else 3, squeeze=False).flat), task, score, paths)

    mean = "With its one seed" if one else f"Mean over {score.runs} seeds"
    cost = f"{mean}; S is the start. A cell not visited counts {task.steps} steps."
    frequent = "The first episodes that are most frequent over seeds: arrows are steps, the square is where it ends."
    alone = "The first episode, the same every time: arrows are steps, the square is where it ends."
    drawings = [
        drawn(f"{name}-steps", cost, (WIDE, 3.6), steps),
        drawn(f"{name}-paths", alone if one else frequent, (NARROW if one else WIDE, 3.2), routes),
    ]
    return drawings if one else [*drawings, walking(f"{name}-walking", task, paths)]


def draw_steps(
    area: Area, axes: list[Axes], task: TreasureHunt, score: Score, paths: Int[np.ndarray, "time seed"]
) -> str:
    """Mean steps to the first visit of every cell, and in all episodes by treasure; the same in words."""
    visits, totals = np.full((2, task.rows * task.columns), np.nan)
    visits[task.treasures] = first_visits(task, paths)[task.treasures].mean(axis=1)
    totals[task.treasures] = score.per_instance
    titles = ("Steps to first visit", f"{score.measure.noun.capitalize()} by treasure")
    for place, values, title in zip(axes, (visits, totals), titles, strict=True):
        image = _grid(place, task, values, float(score.per_instance.max()), 1 if score.runs > 1 else 0)
        place.set_title(title, loc="center", fontsize=10, color=INK)
    bar: Any = area.colorbar(image, ax=axes, label="steps", pad=0.02, aspect=14)
    bar.locator.set_params(integer=True)
    return " ".join(
        f"{title}, row by row from the start: {_listed(values[task.treasures])}."
        for title, values in zip(titles, (visits, totals), strict=True)
    )


def draw_paths(axes: list[Axes], task: TreasureHunt, score: Score, paths: Int[np.ndarray, "time seed"]) -> str:
    """The most frequent first episodes, and how frequent they are in words."""
    distinct, counts = np.unique(paths, axis=1, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[: len(axes)]
    for place, number in zip(axes, frequent, strict=False):
        _path(place, task, distinct[:, number], float(score.per_instance.max()))
        share = f"{100 * counts[number] / score.runs:.3g} % of seeds"
        place.set_title(share if score.runs > 1 else "First episode", loc="center", fontsize=10, color=INK)
    for place in axes[len(frequent) :]:
        place.axis("off")
    shares = ", ".join(f"{counts[number] / score.runs:.1%}" for number in frequent)
    return f"{len(counts)} different first episodes; the most frequent are those of {shares} of the seeds."


def _listed(values: Float[np.ndarray, " cell"]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def explored(experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> Int[np.ndarray, "time seed"]:
    """Cells of the first episode without a treasure, for the seeds of the evaluation."""
    task: Any = experiment.task
    seeds = repeated_runs(experiment, weights[None], score.randomness, score.runs).seeds
    walk = jit(
        lambda flat, given: task.first_episode(bind(task, experiment.model, flat), given).cells,
        experiment.model.precision,
    )
    return np.asarray(walk(weights, seeds))


def first_visits(task: TreasureHunt, paths: Int[np.ndarray, "time seed"]) -> Float[np.ndarray, "cell seed"]:
    """The step of every cell's first visit; a whole episode where there is none, which is what it costs."""
    here = paths == np.arange(task.rows * task.columns)[:, None, None]
    return np.where(here.any(axis=1), here.argmax(axis=1), task.steps).astype(float)


def _title(task: TreasureHunt, distinct: int, seeds: int) -> str:
    missed = f"(a cell not visited counts {task.steps})"
    if seeds == 1:
        return f"Steps with one frozen seed {missed}"
    episodes = f"{distinct} different first episodes, most frequent first"
    if distinct == 1:
        episodes = "the same first episode with all of them"
    return f"Mean steps over {seeds} seeds {missed}; {episodes}"


def _grid(
    axes: Axes,
    task: TreasureHunt,
    values: Float[np.ndarray, " cell"],
    largest: float,
    digits: int | None,
    at: float = 0.0,
) -> Any:
    """A heat map of the grid with its obstacles, and an S off the centre of the start by `at`."""
    size = min(10.0, 50 / max(task.rows, task.columns))
    image = heat_map(axes, values.reshape(task.rows, task.columns), (0.0, largest), digits, size)
    for row, column in task.obstacles:
        axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=INK, linewidth=0)
    for line in range(1, task.rows):
        axes.axhline(line - 0.5, color="white", linewidth=0.8)
    for line in range(1, task.columns):
        axes.axvline(line - 0.5, color="white", linewidth=0.8)
    row, column = task.start
    axes.text(
        column + at, row + at, "S", ha="center", va="center", color=INK, fontsize=size - 8 * abs(at), weight="bold"
    )
    return image


def _path(axes: Axes, task: TreasureHunt, path: Int[np.ndarray, " time"], largest: float) -> None:
    """One path as arrows over the cells it visits, coloured by when it comes first."""
    visits = first_visits(task, path[:, None])[:, 0]
    visits[~np.isin(np.arange(len(visits)), path)] = np.nan
    _grid(axes, task, visits, largest, None, at=-0.28)
    x, y = path % task.columns + _offsets(path), path // task.columns + _offsets(path)
    axes.quiver(
        x[:-1], y[:-1], np.diff(x), np.diff(y), angles="xy", scale_units="xy", scale=1, units="inches", width=0.018,
        headwidth=5, headlength=6, headaxislength=5.5, color=PALETTE[5], zorder=3,
    )  # fmt: skip
    axes.plot(x[-1], y[-1], marker="s", markersize=4, color=PALETTE[5], zorder=4)


def _offsets(path: Int[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """Where along its cell's diagonal every visit is drawn, so that later visits do not hide earlier ones."""
    earlier = np.array([np.sum(path[:time] == cell) for time, cell in enumerate(path)])
    visits = np.array([np.sum(path == cell) for cell in path])
    return (earlier - (visits - 1) / 2) * np.minimum(0.2, 0.6 / visits)
