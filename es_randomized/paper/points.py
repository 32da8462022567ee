"""The trials of a figure: one per model, position and training seed; those that ask for equal experiments are one."""

import datetime
from collections.abc import Iterator
from pathlib import Path

from es_randomized.errors import RunFolderError
from es_randomized.evaluation.of_runs import file_of
from es_randomized.evaluation.randomness import Randomness
from es_randomized.paper.figure import Panel, PaperFigure
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import generations_in
from es_randomized.trials.queue import Study
from es_randomized.trials.trial import Record, Trial, TrialsFolder, layered, same_but_plan

Cell = tuple[str, str | None, int, int]  # model, axis, position and training seed


def trials_by_cell(figure: PaperFigure) -> dict[Cell, Trial]:
    """The trial of every cell of a figure.

    Raises:
        ConfigError: a cell is no valid experiment.
    """
    trials: dict[str, Trial] = {}
    sources: dict[str, list[Randomness | None]] = {}
    texts = {}
    for cell in dict.fromkeys(_cells(figure)):
        trial = _trial(figure, *cell)
        text = texts[cell] = repr(trial.experiment)
        trials.setdefault(text, trial)
        sources.setdefault(text, [None]).extend(_sources(figure, cell))
    scored = {text: trial.scored_under(dict.fromkeys(sources[text])) for text, trial in trials.items()}
    return {cell: scored[text] for cell, text in texts.items()}


def trials_of(figure: PaperFigure) -> list[Trial]:
    """Every trial once."""
    return list({trial.name: trial for trial in trials_by_cell(figure).values()}.values())


def folder_of(figure: PaperFigure, out: Path) -> TrialsFolder:
    """Where the trials of a figure are kept."""
    return TrialsFolder(out / figure.name / figure.scale_name)


def study_of(figure: PaperFigure, folder: TrialsFolder) -> Study:
    """What is left of a figure."""
    trials = trials_of(figure)
    done = {trial.name for trial in trials if finished(trial, folder.run(trial.name))}
    return Study(
        folder=folder,
        trials=[trial for trial in trials if trial.name not in done],
        records={
            trial.name: Record(trial.parameters, trial.seed, "finished") for trial in trials if trial.name in done
        },
        total=len(trials),
    )


def finished(trial: Trial, run: RunFolder) -> bool:
    """Whether a folder holds this trial to its end, scored under every source, whoever trained it."""
    if not began(trial, run) or generations_in(run.journal_file) < trial.experiment.budget.generations:
        return False
    return all(file_of(run, trial.experiment, source).exists() for source in trial.sources)


def began(trial: Trial, run: RunFolder) -> bool:
    """Whether a folder holds the experiment of this trial."""
    try:
        return same_but_plan(run.experiment(), trial.experiment)
    except RunFolderError:
        return False


def move_others_aside(study: Study) -> None:
    """Rename folders of trials to be run that hold other experiments."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for trial in study.trials:
        run = study.folder.run(trial.name)
        if run.experiment_file.exists() and not began(trial, run):
            run.path.rename(run.path.with_name(f"{run.path.name}-before-{stamp}"))


def positions(figure: PaperFigure, panel: Panel) -> int:
    """How many positions there are from left to right for one model; 1 without an axis."""
    return len(figure.axes[panel.axis].values) if panel.axis else 1


def _cells(figure: PaperFigure) -> Iterator[Cell]:
    for panel in figure.panels:
        for model in dict.fromkeys(curve.model for curve in figure.curves_of(panel)):
            for position in range(positions(figure, panel)):
                for seed in figure.scale.seeds:
                    yield model, panel.axis, position, seed


def _sources(figure: PaperFigure, cell: Cell) -> list[Randomness | None]:
    """How the trial of a cell has to be scored, besides with its own randomness."""
    model, axis, _, _ = cell
    curves = [curve for panel in figure.panels if panel.axis == axis for curve in figure.curves_of(panel)]
    return [curve.source for curve in curves if curve.model == model]


def _trial(figure: PaperFigure, model: str, axis: str | None, position: int, seed: int) -> Trial:
    along = figure.axes[axis].at(position) if axis else {}
    varied = layered(along, figure.models[model].settings)
    where = [f"{axis}{figure.axes[axis].values[position]}"] if axis else []
    name = "-".join([model, *where, f"seed{seed}"])
    return Trial(name, figure.experiment, layered(figure.scale.settings, varied), varied, seed)
