"""The process of one trial, on one core: trains or resumes a run folder and scores it. The experiment comes on stdin.

python -m es_randomized.paper.process FOLDER CORE SOURCE [SOURCE ...] < experiment.yaml
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

STOPPED = 3  # exit status of a trial that was asked to stop and can be resumed
OWN = "own"  # the source of randomness an experiment has by itself


def run(path: Path, text: str, sources: list[Any]) -> int:
    """Train the experiment in `text` to its end and score it; returns the exit status."""
    from es_randomized import compilation
    from es_randomized.config.yaml import parse
    from es_randomized.drivers.kinds import driver_of
    from es_randomized.drivers.local_evaluator import local_evaluator
    from es_randomized.evaluation.of_runs import evaluate_runs, file_of, newest, write_score
    from es_randomized.runs.folder import RunFolder
    from es_randomized.session import logging_to, run_session

    compilation.configure()
    folder = RunFolder(path)
    driver = driver_of(folder.experiment() if folder.experiment_file.exists() else parse(text))
    if not folder.experiment_file.exists():
        folder.create(driver.experiment)
    with logging_to(folder.log_file), local_evaluator(driver) as evaluator:
        session = run_session(folder, driver, evaluator, _watching(os.getppid()))
    if session.reason != "finished":
        return STOPPED
    trained = newest(folder)
    for source in (None if name == OWN else name for name in sources):
        if not file_of(folder, trained.experiment, source).exists():
            write_score(folder, trained.experiment, evaluate_runs([trained], source))
    return 0


def _watching(parent: int) -> Any:
    """Called after every generation: a trial whose parent died stops by itself."""

    def check(_row: Any) -> None:
        if os.getppid() != parent:
            signal.raise_signal(signal.SIGTERM)

    return check


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[2])})  # before anything counts the cores
    from es_randomized.errors import UserError

    try:
        sys.exit(run(Path(sys.argv[1]), sys.stdin.read(), sys.argv[3:]))
    except UserError as error:
        sys.exit(f"error: {error}")
