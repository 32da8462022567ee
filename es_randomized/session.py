"""A training session: the loop of train.py with everything around it that must survive: journal, snapshots, metrics.

The journal gets every generation; snapshots and metrics follow every few seconds. Ctrl-C (or SIGTERM) finishes the
generation it is in, saves and returns; a second Ctrl-C leaves at once and loses only that generation.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from jaxtyping import Array, Float

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.evaluation.answer import answer_of
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.goal import Ending, ending
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import Metrics, MetricsRow, read_metrics
from es_randomized.runs.restore import restore
from es_randomized.runs.storage import remove_leftovers
from es_randomized.runs.timeline import Timeline
from es_randomized.strategies.strategy import State
from es_randomized.train import train

SAVE_SECONDS = 10.0

Reason = Literal["finished", "interrupted", "out of time"] | Ending

log = logging.getLogger(__name__)


class RunResult(NamedTuple):
    """What a training session came to.

    Attributes:
        folder: of the run; of a run at an address, the copy on this machine.
        driver: the experiment made executable.
        generation: the next one.
        state: before it.
        reason: why training stopped.
        score: of the weights, where they were evaluated.
    """

    folder: RunFolder
    driver: Driver
    generation: int
    state: State
    reason: Reason
    score: Score | None = None

    @property
    def weights(self) -> Float[Array, " param"]:
        """What was learned so far: the run's answer."""
        return answer_of(self.driver, self.state).weights


class TrainingSession:
    """A run that goes on from wherever its folder says it is, one generation at a time, inside a `with` block.

    A block that ends without an exception, or with the generator it is in, saves the state; after any other end the journal
    still has everything.

    Args:
        outcomes: runs policies for held-out checks; made here by default.

    Attributes:
        generation: the next one.
        state: before it.
        ending: why training ends though generations are left, or at the last of them; None while it goes on.
    """

    def __init__(
        self, folder: RunFolder, driver: Driver, evaluator: Evaluator, outcomes: Outcomes | None = None
    ) -> None:
        self._folder, self._driver, self._evaluator, self._outcomes = folder, driver, evaluator, outcomes

    def __enter__(self) -> "TrainingSession":
        with ExitStack() as opened:
            opened.enter_context(self._folder.lock())
            remove_leftovers(self._folder.path)
            self._held_out = HeldOut(self._driver.experiment, self._outcomes)
            checks, known = dict[int, dict[str, float]](), len(read_metrics(self._folder.metrics))

            def look_again(generation: int, state: State) -> None:
                """At what a crash kept from the metrics."""
                if generation >= known:
                    checks[generation] = self._check(generation, state)

            restored = restore(self._folder, self._driver, self._evaluator.parts_of, look_again)
            self.generation, self.state = restored
            self._journal = self._folder.open_journal(self._driver.losses_per_generation)
            opened.callback(self._journal.close)
            recorded = [self._driver.of_members(row, number) for number, row in enumerate(self._folder.losses())]
            self._metrics = Metrics(self._folder.metrics, recorded, self._driver.cost_of, self._evaluator.size, checks)
            self.ending = self._ending()
            self._timeline = Timeline(
                self._folder.workers, self._evaluator.workers, self.generation, self._metrics.seconds
            )
            self._opened = opened.pop_all()
        return self

    def rows(self) -> Iterator[MetricsRow]:
        """Train: the metrics row of every generation that is left, once the journal has it; none after an `ending`."""
        if self.ending:
            return
        began = saved = time.monotonic()
        for step in train(self._driver, self._evaluator, self.state, self.generation):
            self._journal.append(step.generation, step.losses)
            self.generation, self.state = step.generation + 1, step.state
            checked = self._check(step.generation, self.state)
            self._timeline.add(step.generation)
            losses = self._driver.of_members(step.losses, step.generation)
            row = self._metrics.add(step.generation, losses, time.monotonic() - began, checked)
            if checked:
                self.ending = self._ending()
            paused = time.monotonic()
            yield row
            if self.ending:
                return
            paused = time.monotonic() - paused  # whoever asked for the row may train other runs meanwhile
            began += paused
            self._timeline.pause(paused)
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save()
                saved = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._opened:
            if kind in (None, GeneratorExit):
                self._timeline.close(self.generation - 1)
                self._save()

    def _check(self, generation: int, state: State) -> dict[str, float]:
        """What the weights after a generation are worth on held-out draws, if it is time to look."""
        return self._held_out(self._driver.centre(state)) if self._held_out.due(generation) else {}

    def _ending(self) -> Ending | None:
        experiment = self._driver.experiment
        return ending(experiment.budget, experiment.task.measure, self._metrics.checks)

    def _save(self) -> None:
        self._metrics.flush()  # before the snapshot: what it lacks is found again from an older one
        self._folder.save_snapshot(self.generation, self.state)
        self._timeline.flush()


def run_session(
    folder: RunFolder,
    driver: Driver,
    evaluator: Evaluator,
    on_row: Callable[[MetricsRow], None],
    seconds: float | None = None,
) -> RunResult:
    """Train until the budget ends or the user stops, from wherever the run folder says this run is.

    Args:
        seconds: stop after this much time even if generations are left.
        on_row: called with every generation's metrics row.
    """
    reason: Reason = "finished"
    with stopping_gently() as signals, TrainingSession(folder, driver, evaluator) as session:
        began = time.monotonic()
        for row in session.rows():
            on_row(row)
            if session.ending:
                continue  # to the end
            if signals:
                reason = "interrupted"
                break
            more = session.generation < driver.experiment.budget.generations
            if seconds and more and time.monotonic() - began > seconds:
                reason = "out of time"
                break
        reason = session.ending or reason
    log.info("%s before generation %d", reason, session.generation)
    return RunResult(folder, driver, session.generation, session.state, reason)


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
    with ExitStack() as handlers:

        def remember(number: int, _frame: object) -> None:
            received.append(number)
            handlers.close()  # the ones of before are back

        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):  # not the main thread: signals are somebody else's business
                handlers.callback(signal.signal, number, signal.signal(number, remember))
        yield received
