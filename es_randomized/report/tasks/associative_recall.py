"""Associative recall in pictures: which queries are answered, and how what is kept depends on the seed."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score, evaluation_bundles
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import repeated_runs
from es_randomized.report.figures import WIDE, Area, Axes, PageFigure, drawn
from es_randomized.report.heat_map import heat_map
from es_randomized.report.palette import INK, PALETTE

SEEDS_SHOWN = 16
STORES_SHOWN = 64
LARGEST_NUMBERED = 12  # query positions; numbers of more would be too small to read


def draw(area: Area, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> None:
    """Success by query position and, where runs differ by their seeds, by seed and query position."""
    if score.randomness != "seed":
        draw_by_query(area.subplots(), experiment, score)
        return
    left, right = area.subplots(1, 2)
    draw_by_query(left, experiment, score)
    draw_by_seed(area, right, by_seed(experiment, score, weights))


def figures(name: str, experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> list[PageFigure]:
    """Success by query, and by seed and query where runs differ by their seeds."""
    drawings = []
    if "query" in score.by_group:
        caption = "Success by the position of the key that is asked for; 0 was stored first."
        drawings.append(
            drawn(f"{name}-query", caption, (WIDE, 3.6), lambda a: draw_by_query(a.subplots(), experiment, score))
        )
    if score.randomness == "seed":
        rates = np.asarray(by_seed(experiment, score, weights))
        caption = (
            "Every row is one seed: dark cells are keys whose values it keeps. Equal rows: the seed decides nothing."
        )
        drawings.append(drawn(f"{name}-seeds", caption, (WIDE, 4.4), lambda a: draw_by_seed(a, a.subplots(), rates)))
    return drawings


def draw_by_seed(area: Area, axes: Axes, success: Float[np.ndarray, "seed query"]) -> str:
    """Which queries each of some seeds answers, and how many of them in words."""
    rates = 100 * success
    queries = rates.shape[1]
    image = heat_map(axes, rates, (0.0, 100.0), 0 if queries <= LARGEST_NUMBERED else None, size=7.0)
    axes.set_aspect("auto")
    _number(axes, queries)
    axes.set_ylabel("seed")
    axes.set_title(f"Which keys {len(rates)} seeds keep", loc="left", color=INK)
    area.colorbar(image, ax=axes, label="success (%)", pad=0.02)
    kept = (rates > 50).sum(axis=1)
    return (
        f"Success by seed and key: each of {len(rates)} seeds recalls between {kept.min()} and {kept.max()} of the "
        f"{queries} keys more often than not."
    )


def by_seed(experiment: Experiment, score: Score, weights: Float[Array, " param"]) -> Float[np.ndarray, "seed query"]:
    """Success of the evaluation's first seeds at every query position, over some of its stores."""
    repeated = repeated_runs(experiment, weights[None], score.randomness, score.runs)
    shown = repeated._replace(seeds=jax.tree.map(lambda x: x[..., :SEEDS_SHOWN], repeated.seeds))
    stores = evaluation_bundles(experiment)[0][:, :STORES_SHOWN]
    success = np.asarray(Outcomes(experiment.task, experiment.model)(shown, stores).success)
    return success.reshape(-1, experiment.task.bundle, success.shape[1]).mean(axis=0).T


def draw_by_query(axes: Axes, experiment: Experiment, score: Score) -> str:
    """Success by the position of the key that is asked for, and the same in words."""
    task: Any = experiment.task
    value, low, high = 100 * np.array(score.by_group["query"]).T
    axes.bar(np.arange(task.n), value, color=PALETTE[4])
    if score.runs > 1:
        axes.errorbar(np.arange(task.n), value, [value - low, high - value], fmt="none", color=INK, capsize=3)
    average, guess = 100 * score.single.average.value, 100 / 2**task.bits
    axes.axhline(average, color=INK, linewidth=1.6, linestyle="--", label=f"average {average:.1f} %")
    axes.axhline(guess, color=INK, linewidth=1.2, linestyle=":", label=f"guessing {guess:.1f} %")
    axes.set_ylim(0, 119)  # room for the legend
    axes.set_yticks(range(0, 101, 20))
    axes.set_xlim(-0.6, task.n - 0.4)
    axes.set_ylabel("success (%)")
    intervals = f", {score.confidence:.0%} intervals" if score.runs > 1 else ", one frozen seed"
    axes.set_title(f"Every query{intervals}", loc="left", color=INK)
    axes.legend(loc="upper right", ncols=2, frameon=False, fontsize=9)
    _number(axes, task.n)
    rates = ", ".join(f"{rate:.1f}" for rate in value)
    return f"Success in percent by the key that is asked for, from the first stored: {rates}; guessing {guess:.1f}."


def _number(axes: Axes, queries: int) -> None:
    axes.set_xticks(range(queries))
    axes.set_xlabel("key that is asked for (0 was stored first)")
