"""Trials that share a process and take turns: one start and one compilation for all of them, a run folder for each.

A turn ends with a report. A trial computes what it would compute alone, by the same programs, whoever else is there: who
leaves early, fails or joins after an interruption changes nothing for the others.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from es_randomized.configuration import parse
from es_randomized.errors import UserError
from es_randomized.runs.folder import RunFolder
from es_randomized.sweeps.attempt import Report, at, attempt
from es_randomized.sweeps.shared import Shared
from es_randomized.sweeps.sweep import Metric
from es_randomized.sweeps.trials import read_record
from es_randomized.training import logging_to


class Place(NamedTuple):
    """A trial as another process is told of it: its name, its run folder and its experiment as text."""

    name: str
    folder: str
    experiment: str


class Turn(NamedTuple):
    """What a trial reports at the end of its turn.

    Attributes:
        last: whether nobody is left.
    """

    name: str
    report: Report
    last: bool


def take_turns(places: list[Place], metric: Metric, evaluate: bool) -> Generator[Turn, None, None]:
    """Train trials to their end, each from wherever its folder says it is. Close it early and what was trained is kept.

    Whoever reads the reports may end a trial by writing so into its `trial.json`.
    """
    shared = Shared()
    going = {place.name: (place, _reports(place, metric, evaluate, shared)) for place in places}
    with ExitStack() as closing_all:
        for _, reports in going.values():
            closing_all.callback(reports.close)
        while going:
            for place, reports in list(going.values()):
                report = _turn(place, reports)
                if report is None or report.done:
                    del going[place.name]
                if report:
                    yield Turn(place.name, report, not going)


def _turn(place: Place, reports: Generator[Report, None, None]) -> Report | None:
    """What a trial reports at the end of its turn; None where somebody has ended it. Its troubles are its own."""
    try:
        if _wanted(place):
            return _next(place, reports)
        reports.close()
    except Exception as error:
        return Report(
            0, math.inf, True, str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        )
    return None


def _wanted(place: Place) -> bool:
    """Whether nobody has ended the trial."""
    record = Path(place.folder) / "trial.json"
    return not record.exists() or read_record(record).status == "begun"


def _next(place: Place, reports: Iterator[Report]) -> Report:
    """A trial's next report; meanwhile its log is open, and nobody else's."""
    if not Path(place.folder).exists():
        return next(reports)
    with logging_to(RunFolder(Path(place.folder)).log_file):
        return next(reports)


def _reports(place: Place, metric: Metric, evaluate: bool, shared: Shared) -> Generator[Report, None, None]:
    try:
        folder, experiment = at(place.folder), parse(place.experiment)
    except UserError as error:
        yield Report(0, math.inf, True, str(error))
        return
    with closing(attempt(folder, experiment, metric, evaluate, shared)) as reports:
        yield from reports
