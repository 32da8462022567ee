"""A training session: the loop of train.py with everything around it that must survive: journal, snapshots, metrics.

The journal gets every generation; snapshots and metrics follow every few seconds. Ctrl-C (or SIGTERM) finishes the
generation in hand, saves and returns; a second Ctrl-C leaves at once and loses only that generation.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import Metrics
from es_randomized.strategies.strategy import State
from es_randomized.train import train

SAVE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Session(NamedTuple):
    """How a training session ended: the next generation, the state before it, and why it stopped."""

    generation: int
    state: State
    reason: str  # finished, interrupted or out of time


def run_session(
    folder: RunFolder,
    driver: Driver,
    evaluator: Evaluator,
    on_row: Callable[[dict[str, Any]], None],
    seconds: float | None = None,
) -> Session:
    """Train until the budget ends or the user stops, from wherever the run folder says this run is.

    Args:
        seconds: stop after this much time even if generations are left.
        on_row: called with every generation's metrics row.
    """
    generations = driver.experiment.budget.generations
    with folder.lock(), stopping_gently() as stop:
        generation, state = folder.restore(driver, evaluator.parts_of)
        journal = folder.open_journal(driver.losses_per_generation)
        metrics = Metrics(folder.metrics, folder.losses(), driver.cost(), evaluator.size)
        check = HeldOut(driver.experiment)
        began = saved = time.monotonic()
        reason = "finished"
        try:
            for step in train(driver, evaluator, state, generation):
                journal.append(step.generation, step.losses)
                generation, state = step.generation + 1, step.state
                found = check(driver.centre(state)) if check.due(step.generation) else {}
                row = metrics.add(step.generation, step.losses, time.monotonic() - began, found)
                on_row(row)
                if time.monotonic() - saved > SAVE_SECONDS:
                    _save(folder, metrics, generation, state)
                    saved = time.monotonic()
                if stop:
                    reason = "interrupted"
                    break
                if seconds and time.monotonic() - began > seconds and generation < generations:
                    reason = "out of time"
                    break
        finally:
            journal.close()
        _save(folder, metrics, generation, state)
    log.info("%s before generation %d", reason, generation)
    return Session(generation, state, reason)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write this package's log records to `path` as well."""
    logger, handler = logging.getLogger("es_randomized"), logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def stopping_gently() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM comes; a second signal acts as usual."""
    received: list[int] = []
    previous: dict[int, Any] = {}

    def remember(number: int, _frame: Any) -> None:
        received.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            previous[each] = signal.signal(each, remember)
    except ValueError:  # not the main thread: signals are somebody else's business
        previous = {}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _save(folder: RunFolder, metrics: Metrics, generation: int, state: State) -> None:
    folder.save_snapshot(generation, state)
    metrics.flush()
