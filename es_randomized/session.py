"""A training session: the loop of train.py with everything around it that must survive: journal, snapshots, metrics.

The journal gets every generation; snapshots and metrics follow every few seconds. Ctrl-C (or SIGTERM) finishes the
generation in hand, saves and returns; a second Ctrl-C leaves at once and loses only that generation.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import Metrics
from es_randomized.runs.timeline import Timeline
from es_randomized.strategies.strategy import State
from es_randomized.train import train

SAVE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Session(NamedTuple):
    """How a training session ended: the next generation, the state before it, and why it stopped."""

    generation: int
    state: State
    reason: str  # finished, interrupted or out of time


class Training:
    """A run that goes on from wherever its folder says it is, one generation at a time, inside a `with` block.

    A block that ends without an exception, or with the generator it is in, saves the state; after any other end the journal
    still has everything.

    Args:
        looks: what runs policies on held-out draws; made here by default.

    Attributes:
        generation: the next one.
        state: before it.
    """

    def __init__(self, folder: RunFolder, driver: Driver, evaluator: Evaluator, looks: Outcomes | None = None) -> None:
        self._folder, self._driver, self._evaluator, self._looks = folder, driver, evaluator, looks

    def __enter__(self) -> "Training":
        with ExitStack() as held:
            held.enter_context(self._folder.lock())
            self.generation, self.state = self._folder.restore(self._driver, self._evaluator.parts_of)
            self._journal = self._folder.open_journal(self._driver.losses_per_generation)
            held.callback(self._journal.close)
            known = self._driver.of_members(self._folder.losses())
            self._metrics = Metrics(self._folder.metrics, known, self._driver.cost(), self._evaluator.size)
            self._timeline = Timeline(
                self._folder.workers, self._evaluator.workers, self.generation, self._metrics.seconds
            )
            self._held = held.pop_all()
        return self

    def rows(self) -> Iterator[dict[str, Any]]:
        """Train: the metrics row of every generation that is left, once the journal has it."""
        check = HeldOut(self._driver.experiment, self._looks)
        began = saved = time.monotonic()
        for step in train(self._driver, self._evaluator, self.state, self.generation):
            self._journal.append(step.generation, step.losses)
            self.generation, self.state = step.generation + 1, step.state
            found = check(self._driver.centre(self.state)) if check.due(step.generation) else {}
            self._timeline.add(step.generation)
            row = self._metrics.add(
                step.generation, self._driver.of_members(step.losses), time.monotonic() - began, found
            )
            paused = time.monotonic()
            yield row
            paused = time.monotonic() - paused  # whoever asked for the row may train other runs meanwhile
            began += paused
            self._timeline.pause(paused)
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save()
                saved = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        with self._held:
            if kind in (None, GeneratorExit):
                self._timeline.close(self.generation - 1)
                self._save()

    def _save(self) -> None:
        self._folder.save_snapshot(self.generation, self.state)
        self._metrics.flush()
        self._timeline.flush()


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
    generations, reason = driver.experiment.budget.generations, "finished"
    with stopping_gently() as stop, Training(folder, driver, evaluator) as training:
        began = time.monotonic()
        for row in training.rows():
            on_row(row)
            if stop:
                reason = "interrupted"
                break
            if seconds and time.monotonic() - began > seconds and training.generation < generations:
                reason = "out of time"
                break
    log.info("%s before generation %d", reason, training.generation)
    return Session(training.generation, training.state, reason)


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
