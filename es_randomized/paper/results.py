"""The numbers of a figure as plain data: read from the run folders, with intervals over training seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from es_randomized.evaluation.of_runs import file_of
from es_randomized.evaluation.statistics import mean_estimate
from es_randomized.evaluation.stored import measure_of, read_summary
from es_randomized.paper.figure import Curve, Panel, PaperFigure, Statistic
from es_randomized.paper.points import finished, folder_of, positions, trials_by_cell
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.provenance import hardware, provenance
from es_randomized.tasks.measure import UNBOUNDED, Bounds
from es_randomized.tasks.task import Task
from es_randomized.trials.trial import Trial

CONFIDENCE = 0.95
PERCENT = Bounds(0.0, 100.0)

Tree = dict[str, Any]


def results(figure: PaperFigure, out: Path) -> Tree:
    """Everything a figure shows: what <figure>-<scale>.json holds and what is drawn."""
    reader = _Reader(figure, out)
    return {
        "figure": figure.name,
        "title": figure.title,
        "shows": figure.shows,
        "scale": figure.scale_name,
        "note": figure.scale.note,
        "paper_comparable": figure.scale.comparable,
        "confidence": CONFIDENCE,
        "panels": [reader.panel(panel) for panel in figure.panels],
        "trials": {trial.name: reader.summary(trial) for trial in reader.trials.values()},
        "hardware": hardware(),
        "provenance": provenance(),
    }


def estimate(values: list[float], bounds: Bounds = UNBOUNDED) -> Tree | None:
    """The mean over training seeds, with Student's interval where there are two or more."""
    if not values:
        return None
    if len(values) == 1:
        return {"mean": values[0], "low": None, "high": None}
    mean, low, high = mean_estimate(np.array(values), CONFIDENCE, bounds)
    return {"mean": mean, "low": low, "high": high}


class _Reader:
    """Reads what the trials of a figure came to, each file once."""

    def __init__(self, figure: PaperFigure, out: Path) -> None:
        self.figure, self.folder, self.trials = figure, folder_of(figure, out), trials_by_cell(figure)
        self._evaluations: dict[Path, Tree] = {}

    def evaluation(self, trial: Trial, curve: Curve) -> Tree | None:
        """What a curve draws of a trial; None where the trial is not finished."""
        run = self.folder.run(trial.name)
        path = file_of(run, trial.experiment, curve.source)
        if path not in self._evaluations and finished(trial, run):
            self._evaluations[path] = read_summary(run, path)
        return self._evaluations.get(path)

    def summary(self, trial: Trial) -> Tree:
        """Where a trial is, what it ran on and what its training cost."""
        run = self.folder.run(trial.name)
        if not finished(trial, run):
            return {"folder": str(run.path), "finished": False}
        origin = run.origin()
        kept = {name: origin.get(name) for name in ("date", "revision", "device", "packages")}
        last = read_metrics(run.metrics).to_pylist()[-1]
        kept |= {name: last[name] for name in ("seconds", "rollouts", "flops")}
        return {"folder": str(run.path), "finished": True} | kept

    def panel(self, panel: Panel) -> Tree:
        """What a panel draws."""
        curves = [
            self.curve(panel, curve, statistic)
            for curve in self.figure.curves_of(panel)
            for statistic in panel.measures
        ]
        return {
            "title": panel.title,
            "label": panel.label,
            "axis": self.figure.axes[panel.axis].label if panel.axis else None,
            "measures": panel.measures,
            "curves": [curve for curve in curves if curve["points"] or curve["paper"]],
            "lines": self.lines(panel),
        }

    def curve(self, panel: Panel, curve: Curve, statistic: Statistic) -> Tree:
        """One curve with the paper's values; positions of which nothing is known are left out."""
        axis, points = self.figure.axes[panel.axis] if panel.axis else None, []
        for position in range(positions(self.figure, panel)):
            trials = [self.trials[curve.model, panel.axis, position, seed] for seed in self.figure.scale.seeds]
            evaluations = [(trial, tree) for trial in trials if (tree := self.evaluation(trial, curve))]
            if point := _point(curve, statistic, evaluations):
                points.append({"x": axis.values[position] if axis else None} | point)
        paper = _paper(curve, statistic, axis is not None)
        return {
            "model": curve.model,
            "label": self.figure.models[curve.model].label,
            "answer": curve.answer,
            "measure": statistic,
            "points": points,
            "paper": [{"x": x, "value": value} for x, value in paper.items()],
        }

    def lines(self, panel: Panel) -> list[Tree]:
        """The exact references a panel asks for, as the first evaluation that is there names them."""
        evaluations = (
            self.evaluation(self.trials[curve.model, panel.axis, 0, seed], curve)
            for curve in self.figure.curves_of(panel)
            for seed in self.figure.scale.seeds
        )
        tree = next((tree for tree in evaluations if tree), None)
        if not tree:
            return []
        scale = measure_of(tree).scale
        return [
            {"label": reference["name"], "measure": level, "value": scale * reference[level]}
            for beginning, level in panel.lines.items()
            for reference in tree["references"]
            if reference["name"].startswith(beginning) and reference[level] is not None
        ]


def _paper(curve: Curve, statistic: Statistic, along_axis: bool) -> Mapping[float | None, float]:
    """The paper's values that belong into a panel: by position, or one number without one."""
    values = curve.paper.get(statistic)
    if isinstance(values, dict):
        return {x: value for x, value in values.items() if along_axis}
    return {} if values is None or along_axis else {None: values}


def _point(curve: Curve, statistic: Statistic, evaluations: list[tuple[Trial, Tree]]) -> Tree:
    """A statistic at one position, over training seeds; empty where nothing is known."""
    values = [(trial, measured(tree, curve, statistic)) for trial, tree in evaluations]
    by_seed = {trial.seed: value for trial, value in values if value is not None}
    if not by_seed:
        return {}
    tree = evaluations[0][1]
    return {
        "by_seed": by_seed,
        "trials": [trial.name for trial, value in values if value is not None],
        "sample": {"training_seeds": len(by_seed)} | (_part(tree, curve) or tree)["sample"],
        **(estimate(list(by_seed.values()), bounds_of(evaluations[0][0].experiment.task, tree, statistic)) or {}),
    }


def bounds_of(task: Task, tree: Tree, statistic: Statistic) -> Bounds:
    """What values of a statistic are possible, in percent or in the unit of the task."""
    if in_percent(tree, statistic):
        return PERCENT
    return task.loss_bounds if statistic.startswith("loss") else task.measure.bounds


def in_percent(tree: Tree, statistic: Statistic) -> bool:
    """Whether a statistic is a share, which is drawn in percent; losses stay in the unit of the task."""
    return statistic in ("seed_share", "seed_decides") or (
        measure_of(tree).is_share and not statistic.startswith("loss")
    )


def measured(tree: Tree, curve: Curve, statistic: Statistic) -> float | None:
    """A statistic of an evaluation, in percent or in the unit of the task; None where it has no such number."""
    part = _part(tree, curve)
    factor = 100 if in_percent(tree, statistic) else 1
    if part is None:
        return None
    if statistic in ("average", "p95", "worst"):
        return factor * float(part[statistic]["value"])
    if statistic == "seed_decides":
        return factor * float(part["by_seed"]["depends_on_seed"]) if "by_seed" in part else None
    losses = part.get("loss")
    if not losses:
        return None
    if statistic == "seed_share":
        return factor * float(losses["between_runs"])
    return factor * float(losses[statistic.removeprefix("loss_")]["value"])


def _part(tree: Tree, curve: Curve) -> Tree | None:
    """Where an evaluation says how well a curve's way to answer does."""
    way, _, voters = curve.answer.partition(" of ")
    return tree["majority"].get(voters) if way == "majority" else tree
