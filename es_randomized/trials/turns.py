"""Trials that share a process and take turns: one start and one compilation for all of them, a run folder for each.

A turn ends with a report. A trial computes what it would compute alone, by the same programs, whoever else is there: who
leaves early, fails or joins after an interruption changes nothing for the others.
"""

import logging
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

from es_randomized.errors import UserError
from es_randomized.runs.folder import RunFolder
from es_randomized.session import logging_to
from es_randomized.trials.attempt import Assignment, Report, attempt
from es_randomized.trials.shared_programs import SharedPrograms
from es_randomized.trials.trial import RECORD_FILE, read_record

log = logging.getLogger(__name__)


def take_turns(assignments: list[Assignment]) -> Generator[Report, None, None]:
    """Train trials to their end, each from wherever its folder says it is. Close it early and what was trained is kept.

    Whatever the code of an experiment raises ends in a last report with a message. Whoever reads the reports may end a trial
    by writing so into its record.
    """
    shared = SharedPrograms()
    with ExitStack() as attempts:
        running = {}
        for assignment in assignments:
            running[assignment.name] = assignment, attempt(assignment, shared)
            attempts.callback(running[assignment.name][1].close)
        while running:
            for assignment, reports in list(running.values()):
                report = _turn(assignment, reports)
                if report is None or report.done:
                    del running[assignment.name]
                if report:
                    yield report


def _turn(assignment: Assignment, reports: Generator[Report, None, None]) -> Report | None:
    """What a trial reports at the end of its turn, during which its log is open; None where somebody has ended it."""
    path = Path(assignment.folder)
    if not (path / RECORD_FILE).exists():
        where = f"this machine does not see the folder {path} of the machine that runs the trials"
        advice = "put them on a shared file system: --out /shared/folder"
        return Report(assignment.name, done=True, message=f"{where}; {advice}")
    with logging_to(RunFolder(path).log_file):
        try:
            if read_record(path / RECORD_FILE).status == "begun":
                return next(reports)
            reports.close()
        except Exception as error:
            log.exception("the trial failed")
            message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            return Report(assignment.name, done=True, message=message)
    return None
