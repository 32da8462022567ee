"""Run trials side by side, each in a process with a core of its own; one that fails does not stop the others."""

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from es_randomized.config.yaml import dump, write_yaml
from es_randomized.paper.points import Trial
from es_randomized.paper.process import OWN, STOPPED
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import generations_in
from es_randomized.runs.storage import saying_what_failed
from es_randomized.session import stopping_gently

SECONDS_BETWEEN_LOOKS = 0.2
PROGRAM = [sys.executable, "-m", "es_randomized.paper.process"]


class Failure(NamedTuple):
    """A trial that did not end well: the last line it wrote, and where the others are."""

    trial: str
    message: str
    log: Path


@dataclass
class Progress:
    """What is going on.

    Attributes:
        waiting, running, done: trials; those that failed are done.
        failures: among those done.
        stopped: whether somebody asked to stop.
    """

    waiting: list[Trial]
    running: list["Running"] = field(default_factory=list)
    done: list[Trial] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    stopped: bool = False

    @property
    def completed(self) -> float:
        """Trials, the fractions of those that run included."""
        return len(self.done) + sum(each.fraction for each in self.running)


@dataclass(frozen=True)
class Running:
    """A trial with its process."""

    trial: Trial
    folder: RunFolder
    core: int
    process: subprocess.Popen[str]

    @property
    def fraction(self) -> float:
        """How much of its training is done."""
        return min(1.0, generations_in(self.folder.journal_file) / self.trial.experiment.budget.generations)

    @property
    def log(self) -> Path:
        """What its process writes."""
        return log_of(self.folder)


def run_trials(
    trials: list[tuple[Trial, RunFolder]], jobs: int, show: Callable[[Progress], None] = lambda _: None
) -> Progress:
    """Run trials, `jobs` at a time. The first Ctrl-C lets them save and stop, a second one ends them at once."""
    folders = {trial.name: folder for trial, folder in trials}
    progress = Progress([trial for trial, _ in trials])
    free = _cores(jobs)
    with stopping_gently() as asked:
        try:
            while progress.waiting or progress.running:
                if asked and not progress.stopped:
                    _stop(progress)
                while progress.waiting and free:
                    trial = progress.waiting.pop(0)
                    progress.running.append(start(trial, folders[trial.name], free.pop(0)))
                free += _gather(progress)
                show(progress)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            for each in progress.running:
                each.process.kill()
    return progress


def start(trial: Trial, folder: RunFolder, core: int) -> Running:
    """Start or resume a trial; a folder that holds another experiment is moved aside."""
    if folder.experiment_file.exists() and not trial.began(folder):
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        folder.path.rename(folder.path.with_name(f"{folder.path.name}-before-{stamp}"))
    with saying_what_failed(log_of(folder)):
        folder.path.mkdir(parents=True, exist_ok=True)
        log = open(log_of(folder), "w")
    process = subprocess.Popen(
        [*PROGRAM, str(folder.path), str(core), *(source or OWN for source in trial.sources)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        text=True,
        start_new_session=True,  # Ctrl-C reaches this process alone, which then stops its trials once
        env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ,  # trials may share an accelerator
    )
    log.close()
    assert process.stdin
    with suppress(BrokenPipeError), process.stdin as stdin:  # a process that died already says why in its log
        stdin.write(write_yaml(dump(trial.experiment)))
    return Running(trial, folder, core, process)


def log_of(folder: RunFolder) -> Path:
    """What the process of a trial writes."""
    return folder.path / "process.log"


def _gather(progress: Progress) -> list[int]:
    """Take note of the trials that ended; returns the cores they leave."""
    ended = [each for each in progress.running if each.process.poll() is not None]
    for each in ended:
        progress.running.remove(each)
        progress.done.append(each.trial)
        status = each.process.returncode
        if status and not (progress.stopped and status in (STOPPED, -15)):
            progress.failures.append(Failure(each.trial.name, _last_line(each.log, status), each.log))
    return [each.core for each in ended]


def _stop(progress: Progress) -> None:
    progress.stopped = True
    progress.waiting.clear()
    for each in progress.running:
        each.process.terminate()


def _last_line(log: Path, status: int) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"no message; exit status {status}"


def _cores(jobs: int) -> list[int]:
    """A core for every job, in turn where there are more jobs than cores."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    return [usable[job % len(usable)] for job in range(jobs)]
