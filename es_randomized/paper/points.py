"""The trials of a figure: one experiment per model, position and training seed, each of them once."""

import dataclasses
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump, load
from es_randomized.drivers.layout import with_tile
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.of_runs import file_of
from es_randomized.evaluation.randomness import Randomness
from es_randomized.paper.figure import Dotted, Panel, PaperFigure
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import generations_in


@dataclass(frozen=True)
class Trial:
    """One run behind a figure.

    Attributes:
        name: of its run folder.
        experiment: what is trained.
        sources: of randomness under which it is scored; None is its own.
    """

    name: str
    experiment: Experiment
    sources: tuple[Randomness | None, ...]

    def finished(self, folder: RunFolder) -> bool:
        """Whether `folder` holds this run to its end, scored under every source."""
        if not self.began(folder) or generations_in(folder.journal_file) < self.experiment.budget.generations:
            return False
        return all(file_of(folder, self.experiment, source).exists() for source in self.sources)

    def began(self, folder: RunFolder) -> bool:
        """Whether `folder` holds this experiment: all but the plan, which follows the machine, is the same."""
        try:
            found = folder.experiment()
        except RunFolderError:
            return False
        return dump(dataclasses.replace(found, plan=self.experiment.plan)) == dump(self.experiment)


Place = tuple[str, str | None, int, int]  # model, axis, position and training seed


def points_of(figure: PaperFigure) -> dict[Place, Trial]:
    """The trial at every point of a figure. Points that ask for equal experiments share one.

    Raises:
        ConfigError: a point is no valid experiment.
    """
    made: dict[str, Trial] = {}
    texts = {}
    for place in dict.fromkeys(_places(figure)):
        experiment = _experiment(figure, *place)
        text = texts[place] = repr(experiment)
        trial = made.get(text) or Trial(_name(figure, *place), experiment, ())
        made[text] = dataclasses.replace(
            trial, sources=tuple(dict.fromkeys([*trial.sources, *_sources(figure, place)]))
        )
    return {place: made[text] for place, text in texts.items()}


def trials_of(figure: PaperFigure) -> list[Trial]:
    """Every trial once."""
    return list({trial.name: trial for trial in points_of(figure).values()}.values())


def positions(figure: PaperFigure, panel: Panel) -> int:
    """How many positions there are from left to right for one model; 1 without an axis."""
    return len(figure.axes[panel.axis].values) if panel.axis else 1


def _places(figure: PaperFigure) -> Iterator[Place]:
    for panel in figure.panels:
        for model in dict.fromkeys(curve.model for curve in figure.curves_of(panel)):
            for position in range(positions(figure, panel)):
                for seed in figure.scale.seeds:
                    yield model, panel.axis, position, seed


def _sources(figure: PaperFigure, place: Place) -> list[Randomness | None]:
    """How a trial at `place` has to be scored; its own randomness always."""
    drawn = [curve for panel in figure.panels if panel.axis == place[1] for curve in figure.curves_of(panel)]
    return [None, *(curve.source for curve in drawn if curve.model == place[0])]


def _experiment(figure: PaperFigure, model: str, axis: str | None, position: int, seed: int) -> Experiment:
    along = figure.axes[axis].at(position) if axis else {}
    layers = (figure.scale.settings, along, figure.models[model].settings, {"seed": seed})
    experiment = load(figure.experiment, _layered(*layers))
    experiment.batch.bundles(experiment.task)  # says so now if the instances are no whole bundles
    if experiment.plan.tile != "auto":
        with_tile(experiment)  # or if the tile does not divide the cases
    return experiment


def _layered(*layers: Dotted) -> Dotted:
    """Later layers win and are applied last: an objective replaces an earlier objective.q."""
    merged: Dotted = {}
    for layer in layers:
        for dotted, value in layer.items():
            merged.pop(dotted, None)
            merged[dotted] = deepcopy(value)
    return merged


def _name(figure: PaperFigure, model: str, axis: str | None, position: int, seed: int) -> str:
    where = [f"{axis}{figure.axes[axis].values[position]}"] if axis else []
    return "-".join([model, *where, f"seed{seed}"])


def folder_of(figure: PaperFigure, trial: Trial, out: Path) -> RunFolder:
    """Where a trial of a figure is kept."""
    return RunFolder(out / figure.name / figure.scale_name / trial.name)
