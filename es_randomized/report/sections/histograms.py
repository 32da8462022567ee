"""How instances are distributed by their success or loss: one figure for each group of runs."""

import numpy as np
from jaxtyping import Float

from es_randomized.evaluation.evaluate import Score
from es_randomized.report.figures import NARROW, Area, PageFigure, drawn, style
from es_randomized.report.material import RunGroup
from es_randomized.report.overview import CROWD, bins, histogram, value_bins
from es_randomized.report.section import Section

Scores = dict[str, Score]


def sections(groups: list[RunGroup]) -> list[Section]:
    """How the instances are distributed."""
    return [Section("instances", f"{groups[0].measure.noun.capitalize()} on every input", figures=histograms(groups))]


def histograms(groups: list[RunGroup]) -> list[PageFigure]:
    """A figure for every group of which some run has its table of instances; groups of several runs share their bins."""
    by_group = [{run.name: run.score for run in group.members if run.score} for group in groups]
    shared = [score for scores in by_group if len(scores) > 1 for score in scores.values()]
    return [
        _figure(index, group, scores, shared)
        for index, (group, scores) in enumerate(zip(groups, by_group, strict=True))
        if scores
    ]


def _figure(index: int, group: RunGroup, scores: Scores, shared: list[Score]) -> PageFigure:
    name, caption = f"instances-{index}", f"{group.name}: every instance by its mean over runs"
    if len(scores) == 1:
        caption += "; lines mark the score and what is known exactly."
        return drawn(name, caption, (NARROW, 4.6), lambda figure: _single(figure, scores))
    caption += ", a row for each training seed."
    size = (NARROW, 1.3 + 1.1 * len(scores))
    return drawn(name, caption, size, lambda figure: _rows(figure, index, group, scores, edges(shared)))


def edges(scores: list[Score]) -> Float[np.ndarray, " edge"]:
    """Bins for all of these scores."""
    if scores[0].measure.counts_successes:
        return bins(min(scores, key=lambda score: score.runs))
    return value_bins(np.concatenate([score.per_instance for score in scores]))


def _single(figure: Area, scores: Scores) -> str:
    for score in scores.values():
        histogram(figure.subplots(), score, columns=1)
    return f"Histogram of instances. {_said(scores)}"


def _rows(figure: Area, index: int, group: RunGroup, scores: Scores, shared: Float[np.ndarray, " edge"]) -> str:
    factor = group.measure.scale
    rows = figure.subplots(len(scores), 1, sharex=True, sharey=True)
    for axes, (name, score) in zip(rows, scores.items(), strict=True):
        axes.hist(factor * score.per_instance, factor * shared, color=style(index)["color"])
        axes.set_title(name.removeprefix(f"{group.name}, "), fontsize=10)
        if len(score.per_instance) > CROWD:
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.7)
        else:
            axes.yaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(group.name, x=0.01, ha="left", fontsize=12)
    rows[-1].set_xlabel(group.measure.label)
    figure.supylabel("instances", fontsize=11)
    return f"Histograms of instances. {_said(scores)}"


def _said(scores: Scores) -> str:
    return " ".join(f"{name}: {_spread(score)}" for name, score in scores.items())


def _spread(score: Score) -> str:
    least, median, most = (score.measure.with_unit(float(x)) for x in np.quantile(score.per_instance, [0, 0.5, 1]))
    return f"{len(score.per_instance):,} instances from {least} to {most}, half of them at most {median}."
