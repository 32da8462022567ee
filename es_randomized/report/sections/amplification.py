"""Amplification: how much better several runs on an input are together, by majority or pooled, than one run."""

from typing import Literal

import numpy as np

from es_randomized.evaluation.statistics import LEVELS, Estimate
from es_randomized.evaluation.stored import Tree, estimate_of
from es_randomized.report.figures import NARROW, Area, PageFigure, drawn, grid, legend_below, style
from es_randomized.report.material import RunGroup, together
from es_randomized.report.section import Section
from es_randomized.tasks.measure import SUCCESS


def sections(groups: list[RunGroup]) -> list[Section]:
    """What votes gain."""
    return [Section("votes", "Majority votes", figures=amplification(groups))]


def amplification(groups: list[RunGroup]) -> list[PageFigure]:
    """Success by the number of runs that vote, a figure for each measure; none where nothing was voted on."""
    voting = [
        group
        for group in groups
        if group.measure.counts_successes and any(tree["majority"] for tree in group.summaries)
    ]
    return [_figure(voting, level, label) for level, label in LEVELS.items()] if voting else []


def by_votes(summaries: list[Tree], level: str, kind: Literal["majority", "pooled"]) -> dict[int, Estimate]:
    """One run and votes of k, each with its interval: over training seeds where there are several."""
    of_kind = [tree.get(kind, {}) for tree in summaries]  # evaluations of before have nothing pooled
    sizes = sorted({int(k) for votes in of_kind for k in votes})
    estimates = {1: [estimate_of(tree[level]) for tree in summaries]}
    for k in sizes:
        estimates[k] = [estimate_of(votes[str(k)][level]) for votes in of_kind if str(k) in votes]
    return {k: together(of_runs, SUCCESS.bounds) for k, of_runs in estimates.items()}


def _figure(groups: list[RunGroup], level: str, label: str) -> PageFigure:
    def draw(figure: Area) -> str:
        axes, said, sizes = figure.subplots(), [], set()
        for index, group in enumerate(groups):
            by_size = by_votes(group.summaries, level, "majority")
            value, low, high = 100 * np.array(list(by_size.values())).T
            shift = 1.03 ** (index - (len(groups) - 1) / 2)
            places = shift * np.array(list(by_size))
            bars = [np.maximum(0, value - low), np.maximum(0, high - value)]
            axes.errorbar(places, value, bars, label=group.name, capsize=4, linewidth=1.6, **style(index))
            sizes |= set(by_size)
            values = ", ".join(f"{k}: {SUCCESS.interval(estimate)}" for k, estimate in by_size.items())
            said.append(f"{group.name}: {values}.")
            pooled = by_votes(group.summaries, level, "pooled")
            if len(pooled) > 1:
                means = [100 * estimate.value for estimate in pooled.values()]
                look = style(index) | {"linestyle": "--"}
                axes.plot(shift * np.array(list(pooled)), means, label=f"{group.name}, pooled", linewidth=1.2, **look)
                values = ", ".join(f"{k}: {SUCCESS.interval(estimate)}" for k, estimate in pooled.items())
                said.append(f"{group.name}, pooled: {values}.")
        axes.set_xscale("log")
        axes.set_xticks(sorted(sizes), [str(k) for k in sorted(sizes)])
        axes.minorticks_off()
        axes.set_ylim(SUCCESS.limits)
        axes.set_xlabel("runs that vote")
        axes.set_ylabel(SUCCESS.label)
        axes.set_title(f"{label.capitalize()}, majority votes")
        grid(axes)
        legend_below(figure, axes)
        return f"Success of majority votes in percent, {label}, by the number of runs that vote. {' '.join(said)}"

    caption = (
        "The most frequent answer of k runs with fresh seeds; 1 is a single run. Bars are intervals. Pooled: the runs add up "
        "their log-probabilities and answer once."
    )
    return drawn(f"votes-{level}", caption, (NARROW, 3.4 + 0.22 * len(groups)), draw)
