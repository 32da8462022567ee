"""Trials that share a process and take turns: one start and one compilation for all of them, a run folder for each.

A turn ends with a report. A trial computes what it would compute alone, by the same programs, whoever else is there: who
leaves early, fails or joins after an interruption changes nothing for the others.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from es_randomized.config.yaml import parse
from es_randomized.errors import UserError
from es_randomized.evaluation.randomness import Randomness
from es_randomized.runs.folder import RunFolder
from es_randomized.session import logging_to
from es_randomized.trials.attempt import Report, at, attempt, failed
from es_randomized.trials.shared_programs import SharedPrograms
from es_randomized.trials.sweep import Metric
from es_randomized.trials.trial import read_record


class Assignment(NamedTuple):
    """A trial as another process is told of it.

    Attributes:
        folder: its run folder.
        experiment: as text.
        sources: of randomness under which it is scored, see `Trial`.
    """

    name: str
    folder: str
    experiment: str
    sources: tuple[Randomness | None, ...] = (None,)


class Turn(NamedTuple):
    """What a trial reports at the end of its turn."""

    name: str
    report: Report


def take_turns(assignments: list[Assignment], metric: Metric) -> Generator[Turn, None, None]:
    """Train trials to their end, each from wherever its folder says it is. Close it early and what was trained is kept.

    Whoever reads the reports may end a trial by writing so into its `trial.json`.
    """
    shared = SharedPrograms()
    going = {assignment.name: (assignment, _reports(assignment, metric, shared)) for assignment in assignments}
    with ExitStack() as closing_all:
        for _, reports in going.values():
            closing_all.callback(reports.close)
        while going:
            for assignment, reports in list(going.values()):
                report = _turn(assignment, reports)
                if report is None or report.done:
                    del going[assignment.name]
                if report:
                    yield Turn(assignment.name, report)


def _turn(assignment: Assignment, reports: Generator[Report, None, None]) -> Report | None:
    """What a trial reports at the end of its turn; None where somebody has ended it. Its troubles are its own."""
    try:
        if _wanted(assignment):
            return _next(assignment, reports)
        reports.close()
    except Exception as error:
        return failed(error)
    return None


def _wanted(assignment: Assignment) -> bool:
    """Whether nobody has ended the trial."""
    record = Path(assignment.folder) / "trial.json"
    return not record.exists() or read_record(record).status == "begun"


def _next(assignment: Assignment, reports: Iterator[Report]) -> Report:
    """A trial's next report; meanwhile its log is open, and nobody else's."""
    if not Path(assignment.folder).exists():
        return next(reports)
    with logging_to(RunFolder(Path(assignment.folder)).log_file):
        return next(reports)


def _reports(assignment: Assignment, metric: Metric, shared: SharedPrograms) -> Generator[Report, None, None]:
    try:
        folder, experiment = at(assignment.folder), parse(assignment.experiment)
    except UserError as error:
        yield failed(error)
        return
    with closing(attempt(folder, experiment, metric, assignment.sources, shared)) as reports:
        yield from reports
