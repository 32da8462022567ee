"""One page about runs: self-contained HTML that reads on a phone, on paper and aloud, and its figures as PNG files."""

import base64
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from es_randomized.config.yaml import dump, write_yaml
from es_randomized.errors import StorageError
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.of_runs import newest
from es_randomized.evaluation.stored import command
from es_randomized.report import tables
from es_randomized.report.figures import Figure
from es_randomized.report.material import Run, RunGroup, read
from es_randomized.report.sections.amplification import amplification
from es_randomized.report.sections.curves import learning
from es_randomized.report.sections.histograms import histograms
from es_randomized.report.sections.parallel import parallel_coordinates
from es_randomized.report.sections.seeds import look_figure, usage
from es_randomized.report.sections.sweep import Trials, read_trials, shown, summary, trials_table
from es_randomized.report.sections.sweep_curves import sweep_learning
from es_randomized.report.sections.timeline import timeline, workers
from es_randomized.report.tables import Table
from es_randomized.report.tasks.registry import task_figures
from es_randomized.runs.folder import RunFolder

PAGE = "index.html"


@dataclass(frozen=True)
class Section:
    """A part of the page; a section without any content is left out.

    Attributes:
        name: its address on the page.
        text: paragraphs.
        listings: long texts by their titles, closed until somebody wants to see them.
    """

    name: str
    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    listings: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or self.tables or self.figures or self.listings)


def write_page(folders: list[RunFolder], out: Path, sweeps: Sequence[Path] = ()) -> Path:
    """Write `index.html` and a PNG for every figure on it into the folder `out`; returns the page.

    Args:
        sweeps: folders of sweeps, shown before the runs.

    Raises:
        RunFolderError: a folder holds no run, or is damaged.
        ConfigError: the runs do not belong on one page.
        StorageError: it cannot be written.
    """
    groups = read(folders) if folders else []
    found = [_sweep(f"sweep-{index}", read_trials(folder)) for index, folder in enumerate(sweeps)]
    sections = [section for each in found for section in each]
    sections += [section for make in SECTIONS if groups for section in make(groups) if not section.empty]
    page = html(groups, sections, [folder.resolve().name for folder in sweeps])
    try:
        out.mkdir(parents=True, exist_ok=True)
        for figure in (figure for section in sections for figure in section.figures):
            (out / f"{figure.name}.png").write_bytes(figure.png)
        (out / PAGE).write_text(page)
    except OSError as error:
        raise StorageError(f"cannot write into {out}: {error.strerror}; choose another folder with --out") from error
    return out / PAGE


def html(groups: list[RunGroup], sections: list[Section], sweeps: list[str]) -> str:
    """The page itself; everything on it is escaped by the template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("es_randomized.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = lambda png: base64.b64encode(png).decode()
    return environment.get_template("page.html").render(
        title=", ".join([*sweeps, *(group.name for group in groups)]),
        about=_about(groups, len(sweeps)),
        written=datetime.datetime.now(datetime.UTC),
        missing=[text for group in groups for run in group.members if (text := _missing(run))],
        sections=sections,
    )


def _about(groups: list[RunGroup], sweeps: int) -> str:
    runs = sum(len(group.members) for group in groups)
    counts = [
        f"{count} {what}{'s' if count > 1 else ''}" for count, what in ((sweeps, "sweep"), (runs, "run")) if count
    ]
    return ", ".join([*(type(group.experiment.task).__name__ for group in groups[:1]), *counts])


def _missing(run: Run) -> str | None:
    """What a run lacks that the page could show, and how to get it."""
    if run.summary is None:
        return f"{run.name} was not evaluated, so only its training is shown. To evaluate it: {command(run.folder)}"
    if run.score is None:
        return (
            f"The table of instances of {run.name} was not kept, so its single inputs are not shown. "
            f"To make it again: {command(run.folder)}"
        )
    return None


def _sweep(name: str, trials: Trials) -> list[Section]:
    """How its trials learned, what the best settings came to, and the table of all of them."""
    figures = [figure for draw in (sweep_learning, parallel_coordinates) if (figure := draw(name, trials))]
    first = Section(name, f"Sweep: {trials.name}", [summary(trials)], figures=figures)
    last = Section(f"{name}-trials", f"Trials of {trials.name}", tables=[trials_table(trials)])
    return [first, *_best(f"{name}-best", trials), last]


def _best(name: str, trials: Trials) -> list[Section]:
    """The evaluation of the best settings, where the folders of their trials are there."""
    rows = trials.points[0].rows if trials.points else []
    folders = [folder for row in rows if (folder := RunFolder(trials.folder / row["trial"])).experiment_file.exists()]
    if not folders:
        return []
    groups = read(folders)
    settings = ", ".join(f"{each} {shown(rows[0][each])}" for each in trials.settings)
    text = [
        f"{settings}: the best of {trials.among} by the {trials.score.label}. The best of many looks better than it is, "
        "because what was best by chance is among them; train it again with other seeds before you report it.",
        f"A page about it: es-randomized report {' '.join(str(folder.path) for folder in folders)}",
        *(missing for group in groups for run in group.members if (missing := _missing(run))),
    ]
    found = [tables.results(group, references=True) for group in groups if group.summaries]
    figures = [figure._replace(name=f"{name}-{figure.name}") for figure in histograms(groups)]
    return [Section(name, f"Best settings of {trials.name}", text, found, figures)]


def _results(groups: list[RunGroup]) -> list[Section]:
    evaluated = [group for group in groups if group.summaries]
    alone = len(evaluated) == 1
    found = [] if alone or not evaluated else [tables.side_by_side(evaluated)]
    found += [tables.results(group, references=alone) for group in evaluated]
    text = ["Square brackets hold intervals. “95th percentile” is the instance at the worst 5 %."] if found else []
    return [Section("results", "Results", text, found)]


def _learning(groups: list[RunGroup]) -> list[Section]:
    return [Section("learning", "Learning", figures=learning(groups))]


def _instances(groups: list[RunGroup]) -> list[Section]:
    return [Section("instances", "Success on every input", figures=histograms(groups))]


def _inputs(groups: list[RunGroup]) -> list[Section]:
    """Worst inputs and single runs of one run of every group: of all runs the page would be endless."""
    shown = [next((run for run in group.members if run.score), None) for group in groups]
    return [_inputs_of(f"inputs-{index}", run) for index, run in enumerate(shown) if run]


def _inputs_of(name: str, run: Run) -> Section:
    trained, score = newest(run.folder), cast(Score, run.score)
    figures = task_figures(name, trained.experiment, score, trained.weights)
    if score.runs > 1:
        figures.append(look_figure(f"{name}-runs", trained.experiment, score, trained.weights))
    return Section(name, f"Worst inputs: {run.name}", tables=[tables.hardest(run)], figures=figures)


def _votes(groups: list[RunGroup]) -> list[Section]:
    return [Section("votes", "Majority votes", figures=amplification(groups))]


def _seeds(groups: list[RunGroup]) -> list[Section]:
    return [Section("seeds", "What the seed decides", figures=usage(groups))]


def _costs(groups: list[RunGroup]) -> list[Section]:
    return [Section("costs", "Cost of training", tables=[tables.costs(groups)])]


def _cluster(groups: list[RunGroup]) -> list[Section]:
    """The workers of one run of every group, for the same reason as its inputs."""
    shown = [next((run for run in group.members if len(run.timeline)), None) for group in groups]
    return [
        Section(f"cluster-{index}", f"Cluster: {run.name}", tables=[workers(run)], figures=[figure])
        for index, run in enumerate(shown)
        if run and (figure := timeline(f"cluster-{index}", run))
    ]


def _origins(groups: list[RunGroup]) -> list[Section]:
    different = tables.settings(groups)
    found = [different] if different else []
    listings = {f"All settings of {group.name}": write_yaml(dump(group.experiment)) for group in groups}
    return [Section("origins", "Settings and origin", [], [*found, tables.origins(groups)], [], listings)]


# In the order of the page.
SECTIONS: tuple[Callable[[list[RunGroup]], list[Section]], ...] = (
    _results,
    _learning,
    _instances,
    _votes,
    _seeds,
    _inputs,
    _costs,
    _cluster,
    _origins,
)
