"""One picture of a run: how it learned, how it does on every instance, and what the task has to show."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from jaxtyping import Array, Float

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score
from es_randomized.report.overview import histogram, learning_curve
from es_randomized.report.tasks.drawings import drawings_of

UPPER, LOWER = 4.1, 2.5  # heights in inches


def draw(path: Path, experiment: Experiment, metrics: pa.Table, score: Score, weights: Float[Array, " param"]) -> None:
    """Write the picture of a run to `path` (PNG)."""
    figure_of(experiment, metrics, score, weights).savefig(path, format="png")


def figure_of(experiment: Experiment, metrics: pa.Table, score: Score, weights: Float[Array, " param"]) -> Any:
    """The picture as a matplotlib figure; tasks without a drawing of their own have the upper row alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawings = drawings_of(experiment.task)
    figure: Any = Figure(figsize=(11, UPPER + LOWER if drawings else UPPER), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [UPPER, LOWER] if drawings else [UPPER]
    upper, *lower = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    left, right = upper.subplots(1, 2)
    learning_curve(left, metrics, score)
    histogram(right, score)
    if drawings:
        drawings.draw(lower[0], experiment, score, weights)
    return figure
