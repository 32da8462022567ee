"""What a task has to show on a page, for one run: pictures of its hardest inputs and of what the policy does."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score
from es_randomized.report.animation import walking
from es_randomized.report.figures import NARROW, WIDE, Figure, drawn
from es_randomized.report.tasks.associative_recall import by_seed, draw_by_query, draw_by_seed
from es_randomized.report.tasks.cycle_colouring import draw_cycles
from es_randomized.report.tasks.treasure_hunt import draw_paths, draw_steps, explored
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.treasure_hunt import TreasureHunt

FlatWeights = Float[Array, " param"]


def task_figures(name: str, experiment: Experiment, score: Score, weights: FlatWeights) -> list[Figure]:
    """Figures of a run whose files begin with `name`; none for a task that has no drawing."""
    draw = FIGURES.get(type(experiment.task))
    return draw(name, experiment, score, weights) if draw else []


def _cycles(name: str, experiment: Experiment, score: Score, weights: FlatWeights) -> list[Figure]:
    caption = (
        "Colours are drawn as shapes too; numbers are vertices. A thick red edge joins two vertices of the same colour."
    )

    def draw(area: Any) -> str:
        return draw_cycles(area, experiment, score, weights, rows=2)

    return [drawn(f"{name}-cycles", caption, (NARROW, 4.0), draw)]


def _hunts(name: str, experiment: Experiment, score: Score, weights: FlatWeights) -> list[Figure]:
    task: Any = experiment.task
    paths = explored(experiment, score, weights)
    one = score.runs == 1

    def steps(area: Any) -> str:
        return draw_steps(area, area.subplots(1, 2), task, score, paths)

    def routes(area: Any) -> str:
        return draw_paths(area.subplots(1, 1 if one else 3, squeeze=False).flat, task, score, paths)

    mean = "With its one seed" if one else f"Mean over {score.runs} seeds"
    cost = f"{mean}; S is the start. A cell not visited counts {task.steps} steps."
    frequent = "The first episodes that are most frequent over seeds: arrows are steps, the square is where it ends."
    alone = "The first episode, the same every time: arrows are steps, the square is where it ends."
    figures = [
        drawn(f"{name}-steps", cost, (WIDE, 3.6), steps),
        drawn(f"{name}-paths", alone if one else frequent, (NARROW if one else WIDE, 3.2), routes),
    ]
    return figures if one else [*figures, walking(f"{name}-walking", task, paths)]


def _recall(name: str, experiment: Experiment, score: Score, weights: FlatWeights) -> list[Figure]:
    figures = []
    if "query" in score.by_group:
        caption = "Success by the position of the key that is asked for; 0 was stored first."
        figures.append(
            drawn(f"{name}-query", caption, (WIDE, 3.6), lambda a: draw_by_query(a.subplots(), experiment, score))
        )
    if score.randomness == "seed":
        rates = np.asarray(by_seed(experiment, score, weights))
        caption = (
            "Every row is one seed: dark cells are keys whose values it keeps. Equal rows: the seed decides nothing."
        )
        figures.append(drawn(f"{name}-seeds", caption, (WIDE, 4.4), lambda a: draw_by_seed(a, a.subplots(), rates)))
    return figures


FIGURES: dict[type, Callable[..., list[Figure]]] = {
    CycleColouring: _cycles,
    TreasureHunt: _hunts,
    AssociativeRecall: _recall,
}
