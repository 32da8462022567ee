"""The worst inputs of one run of every group, and what its task has to show: of all runs the page would be endless."""

from typing import cast

from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.of_runs import newest
from es_randomized.report import tables
from es_randomized.report.material import Run, RunGroup
from es_randomized.report.section import Section
from es_randomized.report.sections.seeds import look_figure
from es_randomized.report.tasks.drawings import drawings_of


def sections(groups: list[RunGroup]) -> list[Section]:
    """A section for the first run of every group that kept its table of instances."""
    shown = [next((run for run in group.members if run.score), None) for group in groups]
    return [_section(f"inputs-{index}", run) for index, run in enumerate(shown) if run]


def _section(name: str, run: Run) -> Section:
    trained, score = newest(run.folder), cast(Score, run.score)
    drawings = drawings_of(trained.experiment.task)
    figures = drawings.figures(name, trained.experiment, score, trained.weights) if drawings else []
    if score.runs > 1:
        figures.append(look_figure(f"{name}-runs", trained.experiment, score, trained.weights))
    return Section(name, f"Worst inputs: {run.name}", tables=[tables.hardest(run)], figures=figures)
