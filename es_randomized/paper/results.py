"""The numbers of a figure as plain data: read from the run folders, with intervals over training seeds."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from es_randomized.evaluation.of_runs import file_of
from es_randomized.evaluation.statistics import mean_estimate
from es_randomized.evaluation.stored import measure_of
from es_randomized.paper.figure import Curve, Panel, PaperFigure, Statistic
from es_randomized.paper.points import finished, folder_of, positions, trials_by_cell
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.provenance import hardware, provenance
from es_randomized.tasks.measure import UNBOUNDED, Bounds
from es_randomized.trials.trial import Trial

CONFIDENCE = 0.95

Tree = dict[str, Any]


def results(figure: PaperFigure, out: Path) -> Tree:
    """Everything a figure shows: what <figure>-<scale>.json holds and what is drawn."""
    points = trials_by_cell(figure)
    read = _Reader(figure, out)
    panels = [_panel(figure, panel, points, read) for panel in figure.panels]
    trials = {trial.name: read.summary(trial) for trial in points.values()}
    return {
        "figure": figure.name,
        "title": figure.title,
        "shows": figure.shows,
        "scale": figure.scale_name,
        "note": figure.scale.note,
        "paper_comparable": figure.scale.comparable,
        "confidence": CONFIDENCE,
        "panels": panels,
        "trials": trials,
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
    """Evaluations of trials, each file read once."""

    def __init__(self, figure: PaperFigure, out: Path) -> None:
        self.folder = folder_of(figure, out)
        self.known: dict[Path, Tree] = {}

    def evaluation(self, trial: Trial, curve: Curve) -> Tree | None:
        """What a curve draws of a trial; None where the trial is not finished."""
        folder = self.folder.run(trial.name)
        path = file_of(folder, trial.experiment, curve.source)
        if path not in self.known and finished(trial, folder):
            self.known[path] = json.loads(path.read_text())
        return self.known.get(path)

    def summary(self, trial: Trial) -> Tree:
        """Where a trial is, what it ran on and what its training cost."""
        folder = self.folder.run(trial.name)
        if not finished(trial, folder):
            return {"folder": str(folder.path), "finished": False}
        origin = json.loads(folder.provenance_file.read_text())
        kept = {name: origin.get(name) for name in ("date", "revision", "device", "packages")}
        last = read_metrics(folder.metrics).to_pylist()[-1]
        kept |= {name: last[name] for name in ("seconds", "rollouts", "flops")}
        return {"folder": str(folder.path), "finished": True} | kept


def _panel(figure: PaperFigure, panel: Panel, points: Any, read: _Reader) -> Tree:
    axis = figure.axes[panel.axis] if panel.axis else None
    curves = [
        _curve(figure, panel, curve, measure, points, read)
        for curve in figure.curves_of(panel)
        for measure in panel.measures
    ]
    return {
        "title": panel.title,
        "label": panel.label,
        "axis": axis.label if axis else None,
        "measures": panel.measures,
        "curves": [curve for curve in curves if curve["points"] or curve["paper"]],
        "lines": _lines(figure, panel, points, read),
    }


def _curve(figure: PaperFigure, panel: Panel, curve: Curve, measure: Statistic, points: Any, read: _Reader) -> Tree:
    model = figure.models[curve.model]
    axis = figure.axes[panel.axis] if panel.axis else None
    found = []
    for position in range(positions(figure, panel)):
        trials = {seed: points[curve.model, panel.axis, position, seed] for seed in figure.scale.seeds}
        x = axis.values[position] if axis else None
        found += _point(x, curve, measure, {s: (t, read.evaluation(t, curve)) for s, t in trials.items()})
    return {
        "model": curve.model,
        "label": model.label,
        "answer": curve.answer,
        "measure": measure,
        "points": found,
        "paper": [{"x": x, "value": value} for x, value in _paper(curve, measure, axis is not None).items()],
    }


def _paper(curve: Curve, measure: Statistic, along_axis: bool) -> dict[Any, float]:
    """The paper's values that belong into a panel: by position, or one number without one."""
    known = curve.paper.get(measure)
    if isinstance(known, dict):
        return known if along_axis else {}
    return {} if known is None or along_axis else {None: known}


def _point(x: Any, curve: Curve, measure: Statistic, scored: dict[int, tuple[Trial, Tree | None]]) -> list[Tree]:
    """The point at one position, as a list that is empty where nothing is known."""
    values = {s: measured(tree, curve, measure) for s, (_, tree) in scored.items() if tree}
    known = {seed: value for seed, value in values.items() if value is not None}
    if not known:
        return []
    tree = next(tree for _, tree in scored.values() if tree)
    bounds = Bounds(0.0, 100.0) if in_percent(tree, measure) else UNBOUNDED
    sample = {"training_seeds": len(known)} | (_part(tree, curve) or tree)["sample"]
    trials = [scored[seed][0].name for seed in known]
    return [
        {"x": x, "by_seed": known, "trials": trials, "sample": sample} | (estimate(list(known.values()), bounds) or {})
    ]


def in_percent(tree: Tree, measure: Statistic) -> bool:
    """Whether a measure is a share, which is drawn in percent; losses stay in task units."""
    return measure in ("seed_share", "seed_decides") or (
        measure_of(tree).unit == "%" and not measure.startswith("loss")
    )


def measured(tree: Tree, curve: Curve, measure: Statistic) -> float | None:
    """A measure of an evaluation, in percent or task units; None where it has no such number."""
    part = _part(tree, curve)
    factor = 100 if in_percent(tree, measure) else 1
    if part is None:
        return None
    if measure in ("average", "p95", "worst"):
        return factor * float(part[measure]["value"])
    if measure == "seed_decides":
        return factor * float(part["by_seed"]["depends_on_seed"]) if "by_seed" in part else None
    losses = part.get("loss")
    if not losses:
        return None
    if measure == "seed_share":
        return factor * float(losses["between_runs"])
    return factor * float(losses[measure.removeprefix("loss_")]["value"])


def _part(tree: Tree, curve: Curve) -> Tree | None:
    """Where an evaluation says how well a curve's way to answer does."""
    way, _, voters = curve.answer.partition(" of ")
    return tree["majority"].get(voters) if way == "majority" else tree


def _lines(figure: PaperFigure, panel: Panel, points: Any, read: _Reader) -> list[Tree]:
    """The exact references a panel asks for, as the first evaluation that is there names them."""
    trees = (
        read.evaluation(points[curve.model, panel.axis, 0, seed], curve)
        for curve in figure.curves_of(panel)
        for seed in figure.scale.seeds
    )
    tree = next((tree for tree in trees if tree), None)
    if not tree:
        return []
    scale = measure_of(tree).scale
    return [
        {"label": reference["name"], "measure": value, "value": scale * reference[value]}
        for beginning, value in panel.lines.items()
        for reference in tree["references"]
        if reference["name"].startswith(beginning) and reference[value] is not None
    ]
