"""Amplification: how much better the majority of several runs on an input is than one run."""

from typing import Any

import numpy as np

from es_randomized.evaluation.compare import MEASURES
from es_randomized.evaluation.statistics import Estimate
from es_randomized.evaluation.stored import Tree, estimate_of
from es_randomized.report.figures import NARROW, Figure, drawn, grid, legend_below, style
from es_randomized.report.material import RunGroup, together
from es_randomized.report.table import cell, percent


def amplification(groups: list[RunGroup]) -> list[Figure]:
    """Success by the number of runs that vote, a figure for each measure; none where nothing was voted on."""
    voting = [group for group in groups if any(voted(tree) for tree in group.summaries)]
    return [_figure(voting, name, label) for name, label in MEASURES.items()] if voting else []


def voted(summary: Tree) -> bool:
    """Whether there are votes on what a task's headline is about: answers that are right or wrong."""
    return summary["headline"] == "success" and bool(summary["majority"])


def by_votes(summaries: list[Tree], measure: str) -> dict[int, Estimate]:
    """One run and majorities of k, each with its interval: over training seeds where there are several."""
    sizes = sorted({int(k) for tree in summaries for k in tree["majority"]})
    found = {1: [estimate_of(tree[measure]) for tree in summaries]}
    for k in sizes:
        found[k] = [estimate_of(tree["majority"][str(k)][measure]) for tree in summaries if str(k) in tree["majority"]]
    return {k: together(estimates, 1.0) for k, estimates in found.items()}


def _figure(groups: list[RunGroup], name: str, label: str) -> Figure:
    def draw(figure: Any) -> str:
        axes, said, sizes = figure.subplots(), [], set()
        for index, group in enumerate(groups):
            found = by_votes(group.summaries, name)
            value, low, high = 100 * np.array(list(found.values())).T
            shift = 1.03 ** (index - (len(groups) - 1) / 2)
            places = shift * np.array(list(found))
            bars = [np.maximum(0, value - low), np.maximum(0, high - value)]
            axes.errorbar(places, value, bars, label=group.name, capsize=4, linewidth=1.6, **style(index))
            sizes |= set(found)
            values = ", ".join(f"{k}: {cell(estimate, percent)}" for k, estimate in found.items())
            said.append(f"{group.name}: {values}.")
        axes.set_xscale("log")
        axes.set_xticks(sorted(sizes), [str(k) for k in sorted(sizes)])
        axes.minorticks_off()
        axes.set_ylim(0, 103)
        axes.set_xlabel("runs that vote")
        axes.set_ylabel("success (%)")
        axes.set_title(f"{label.capitalize()}, majority votes")
        grid(axes)
        legend_below(figure, axes)
        return f"Success of majority votes in percent, {label}, by the number of runs that vote. {' '.join(said)}"

    caption = "The most frequent answer of k runs with fresh seeds; 1 is a single run. Bars are intervals."
    return drawn(f"votes-{name}", caption, (NARROW, 3.4 + 0.22 * len(groups)), draw)
