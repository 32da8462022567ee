"""Learning curves of groups of runs: the mean over training seeds with its interval."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from es_randomized.config.kinds import kind_of
from es_randomized.evaluation.statistics import LEVELS, Estimate
from es_randomized.report.figures import NARROW, Area, Axes, PageFigure, drawn, grid, legend_below, style
from es_randomized.report.material import CONFIDENCE, RunGroup, together
from es_randomized.report.palette import FAINT, INK
from es_randomized.report.section import Section
from es_randomized.tasks.measure import Bounds

MOST_MARKERS = 8
POINTS = 250  # of a curve of the training loss


class Checks(NamedTuple):
    """What was found whenever the centres of a group were looked at.

    Attributes:
        generation: after which.
        rollouts: that training had cost by then, of one run.
        values: of what is measured.
    """

    generation: Int[np.ndarray, " check"]
    rollouts: Int[np.ndarray, " check"]
    values: Float[np.ndarray, "run check"]


def sections(groups: list[RunGroup]) -> list[Section]:
    """How the runs learned."""
    return [Section("learning", "Learning", figures=learning(groups))]


def learning(groups: list[RunGroup]) -> list[PageFigure]:
    """A figure for each level on held-out draws, and the training loss where there is one group.

    Groups without a generation are left out.
    """
    begun = [replace(group, members=[run for run in group.members if len(run.metrics)]) for group in groups]
    shown = [group for group in begun if group.members]
    figures = [_level(shown, level, label) for level, label in LEVELS.items()] if shown else []
    return [*figures, _losses(shown[0])] if len(shown) == 1 else figures


def checks(metrics: list[pa.Table], column: str) -> Checks:
    """The checks that all runs of a group have reached."""
    columns = list(dict.fromkeys(["generation", "rollouts", column]))
    rows = [
        {row["generation"]: row for row in table.select(columns).to_pylist() if row[column] is not None}
        for table in metrics
    ]
    common = sorted(set.intersection(*(set(checks_of_run) for checks_of_run in rows)))
    rollouts = [rows[0][generation]["rollouts"] for generation in common]
    values = [[checks_of_run[generation][column] for generation in common] for checks_of_run in rows]
    return Checks(
        np.array(common, int) + 1, np.array(rollouts, int), np.array(values, float).reshape(len(rows), len(common))
    )


def band(held_out: Checks, bounds: Bounds) -> list[Estimate]:
    """At every check the mean over runs with its interval; a single run has none."""
    return [together([Estimate(v, v, v) for v in column], bounds) for column in held_out.values.T]


def _level(groups: list[RunGroup], level: str, label: str) -> PageFigure:
    by_rollouts = len(groups) > 1
    measure = groups[0].measure

    def draw(figure: Area) -> str:
        axes, said = figure.subplots(), []
        for index, group in enumerate(groups):
            held_out = checks([run.metrics for run in group.members], f"held_out_{level}")
            x = held_out.rollouts if by_rollouts else held_out.generation
            estimates = band(held_out, measure.bounds)
            _curve(axes, group, x, estimates, style(index))
            said.append(_said(group, held_out, estimates))
        said += _optimum(axes, groups, level)
        axes.set_xlabel("rollouts" if by_rollouts else "generation")
        axes.set_ylabel(measure.label)
        axes.set_title(f"{label.capitalize()}, held-out draws")
        axes.set_ylim(measure.limits)
        if by_rollouts:
            axes.set_xscale("log")  # one group's rollouts may be a fraction of another's
        else:
            said += phase_lines(axes, groups[0])
        grid(axes)
        legend_below(figure, axes)
        return f"Learning curve, {label}. {' '.join(said)}"

    return drawn(f"learning-{level}", _caption(groups, label), (NARROW, 3.8 + 0.22 * len(groups)), draw)


def _curve(
    axes: Axes, group: RunGroup, x: Int[np.ndarray, " check"], estimates: list[Estimate], look: dict[str, Any]
) -> None:
    middle, low, high = group.measure.scale * np.array(estimates, float).reshape(-1, 3).T
    step = max(1, len(x) // MOST_MARKERS)
    axes.plot(x, middle, label=_label(group), linewidth=2, markevery=step, markersize=5, **look)
    if len(group.members) > 1:
        axes.fill_between(x, low, high, facecolor=(look["color"], 0.12), edgecolor=(look["color"], 0.5), linewidth=0.8)


def _optimum(axes: Axes, groups: list[RunGroup], level: str) -> list[str]:
    """A line at the best value that is known exactly, as the first evaluation has it; the same in words."""
    measure = groups[0].measure
    trees = [tree for group in groups for tree in group.summaries]
    references = trees[0]["references"] if trees else []
    exact = [r for r in references if r["kind"] == "exact" and r[level] is not None]
    if not exact:
        return []
    best = min(exact, key=lambda r: measure.as_loss(r[level]))
    label = f"{best['name']}: {measure.with_unit(best[level])}"
    axes.axhline(measure.scale * best[level], color=INK, linewidth=1.2, linestyle=(0, (2, 2)), label=label)
    return [f"{label}."]


def phase_lines(axes: Axes, group: RunGroup) -> list[str]:
    """Lines where phases begin, with their objectives; the same in words."""
    phases = group.experiment.by_phase
    for phase in phases:
        axes.axvline(phase.first, color=FAINT, linewidth=1, linestyle=":")
        text = f" {kind_of(phase.objective)}"
        axes.text(phase.first, 0.02, text, color=FAINT, fontsize=8, rotation=90, transform=axes.get_xaxis_transform())
    named = [f"{kind_of(phase.objective)} from generation {phase.first:,}" for phase in phases]
    return [f"Phases: {', '.join(named)}."] if named else []


def _losses(group: RunGroup) -> PageFigure:
    def draw(figure: Area) -> str:
        axes, said = figure.subplots(), []
        for index, run in enumerate(group.members):
            generation, loss = blocks(run.metrics)
            look = {"color": style(index)["color"], "linestyle": style(index)["linestyle"]}
            axes.plot(generation, loss, label=f"seed {run.seed}", **look)
            if len(loss):
                said.append(
                    f"Seed {run.seed}: from {loss[0]:.3g} to {loss[-1]:.3g} in {len(run.metrics):,} generations."
                )
        said += phase_lines(axes, group)
        axes.set_xlabel("generation")
        axes.set_ylabel("loss (lower is better)")
        axes.set_title("Training loss")
        grid(axes)
        legend_below(figure, axes, columns=3)
        return f"Training loss. {' '.join(said)}"

    caption = f"The objective on the training draws, mean over members; long runs in {POINTS} blocks of generations."
    return drawn("training-loss", caption, (NARROW, 3.8), draw)


def blocks(metrics: pa.Table) -> tuple[Float[np.ndarray, " block"], Float[np.ndarray, " block"]]:
    """Generation and training loss, means over as many blocks as can be told apart in a picture."""
    columns = (metrics["generation"].to_numpy() + 1.0, metrics["loss_mean"].to_numpy())
    if len(metrics) <= POINTS:
        return columns
    generation, loss = (np.array([part.mean() for part in np.array_split(column, POINTS)]) for column in columns)
    return generation, loss


def _label(group: RunGroup) -> str:
    return group.name if len(group.members) == 1 else f"{group.name} ({len(group.members)} seeds)"


def _said(group: RunGroup, held_out: Checks, estimates: list[Estimate]) -> str:
    if not estimates:
        return f"{group.name}: not looked at yet."
    show = group.measure.with_unit
    last = estimates[-1]
    interval = f" [{show(last.low)}, {show(last.high)}]" if last.low < last.high else ""
    return (
        f"{group.name}: from {show(estimates[0].value)} to {show(last.value)}{interval} "
        f"after {held_out.generation[-1]:,} generations."
    )


def _caption(groups: list[RunGroup], label: str) -> str:
    where = {"average": "On average over instances", "95th percentile": "The instance at the worst 5 %"}
    several = any(len(group.members) > 1 for group in groups)
    seeds = f" Bands are {CONFIDENCE:.0%} intervals of the mean over training seeds." if several else ""
    return f"{where.get(label, 'The worst instance')}, on instances and seeds that training never sees.{seeds}"
