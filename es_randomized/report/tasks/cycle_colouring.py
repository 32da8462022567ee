"""Coloured cycles in pictures: the hardest cycle under six seeds, or the six hardest under the only one."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score, evaluation_bundles
from es_randomized.evaluation.outcomes import bind
from es_randomized.evaluation.randomness import frozen_seed
from es_randomized.report.figures import NARROW, Area, Axes, PageFigure, drawn
from es_randomized.report.heat_map import ink_on
from es_randomized.report.palette import FAINT, INK, PALETTE

SHOWN = 6
SHAPES = "osDhp8^"  # of vertices: a second sign of their colour


def draw(area: Area, experiment: Experiment, score: Score, weights: Float[Array, " param"], rows: int = 1) -> str:
    """Six colourings; monochromatic edges are drawn thick and red. Says in words what is to be seen."""
    task: Any = experiment.task
    cycles, _ = evaluation_bundles(experiment)
    hardest = np.argsort(score.per_instance, kind="stable")[:SHOWN]
    if score.randomness == "seed":
        hardest = np.repeat(hardest[:1], SHOWN)
        seeds = task.seeds(rng.address(experiment.seed, rng.Purpose.EVALUATION_SEEDS, index=1), SHOWN)
        title = f"The hardest cycle ({100 * score.per_instance[hardest[0]]:.1f} %) under six seeds"
    else:
        seeds = jnp.repeat(frozen_seed(experiment), len(hardest), axis=-1)
        title = "The hardest cycles under one frozen seed"
    coloured = jit(
        lambda flat, *case: bind(task, experiment.model, flat)(task.observe(*case)[0]).argmax(axis=0),
        experiment.model.precision,
    )
    colours = np.asarray(coloured(weights, cycles[:, hardest], seeds))
    area.suptitle(title, x=0.01, ha="left", color=INK)
    places = area.subplots(rows, SHOWN // rows, squeeze=False).flat
    for axes in places[len(hardest) :]:
        axes.axis("off")
    shown = zip(places, cycles[:, hardest].T, colours.T, strict=False)
    return f"{title}: {', '.join(_coloured_cycle(*cycle) for cycle in shown)}."


def figures(name: str, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> list[PageFigure]:
    """The hardest cycles, in two rows."""
    caption = (
        "Colours are drawn as shapes too; numbers are vertices. A thick red edge joins two vertices of the same colour."
    )
    return [
        drawn(f"{name}-cycles", caption, (NARROW, 4.0), lambda area: draw(area, experiment, score, weights, rows=2))
    ]


def _coloured_cycle(axes: Axes, vertices: Int[np.ndarray, " position"], colours: Int[np.ndarray, " position"]) -> str:
    from matplotlib.colors import to_rgb

    angle = 2 * np.pi * np.arange(len(vertices)) / len(vertices)
    x, y = np.sin(angle), np.cos(angle)
    clashes = 0
    for here in range(len(vertices)):
        there = (here + 1) % len(vertices)
        clash = colours[here] == colours[there]
        clashes += int(clash)
        line: dict[str, Any] = {"color": "#C00000", "linewidth": 4} if clash else {"color": FAINT, "linewidth": 1.2}
        axes.plot(x[[here, there]], y[[here, there]], zorder=1, **line)
    for position, (vertex, colour) in enumerate(zip(vertices, colours, strict=True)):
        at, shape, fill = (x[position], y[position]), SHAPES[colour % len(SHAPES)], PALETTE[colour % len(PALETTE)]
        axes.scatter(*at, s=230, marker=shape, color=fill, edgecolors=INK, zorder=2)
        ink = ink_on(to_rgb(fill))
        axes.text(*at, str(vertex + 1), ha="center", va="center", color=ink, fontsize=8, zorder=3)
    title = "proper" if not clashes else f"{clashes} clash" + "es" * (clashes > 1)
    axes.set_title(title, loc="center", fontsize=9, color=INK)
    axes.set_aspect("equal")
    axes.set_xlim(-1.35, 1.35)
    axes.set_ylim(-1.35, 1.35)
    axes.axis("off")
    return title
