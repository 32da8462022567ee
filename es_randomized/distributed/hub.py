"""Handing out: the loop of every process that others compute for, whoever they are and whoever dies.

Units are issued as workers become free, two calls to each so that nobody waits for a message; results come back in any order
and are placed by number. What a dead worker had is issued again, what takes far longer than the rest is issued a second time,
and a worker that stays silent is given up.
"""

import logging
import time
from collections.abc import Callable
from functools import partial

import ray

from es_randomized.distributed import events
from es_randomized.distributed.events import Event
from es_randomized.distributed.inbox import Arrived, Inbox
from es_randomized.distributed.messages import Step, read_answer
from es_randomized.distributed.pool import Pool, WorkerHandle
from es_randomized.distributed.work import TICK, Call, Work, units_per_call
from es_randomized.errors import UserError

DEATHS_PER_UNIT = 3
GIVEN_UP = 60.0  # seconds, at least, after which a silent worker counts as lost; and 20 times what is typical
SECONDS_BETWEEN_CHECKS = 1.0

log = logging.getLogger(__name__)


class UnitError(Exception):
    """A unit whose evaluation raised, or killed its workers: its number, and what it did."""

    def __init__(self, unit: int, what: str) -> None:
        super().__init__(unit, what)
        self.unit, self.what = unit, what


class Hub:
    """Gives the work of one step after the other to the workers of a pool.

    Args:
        devices: of each worker.
        tell: hears how it goes.
    """

    def __init__(self, pool: Pool, inbox: Inbox, devices: int, tell: Callable[[Event], None]) -> None:
        self.pool, self.inbox = pool, inbox
        self._devices, self._tell = devices, tell
        self._pace: dict[str, float] = {}  # seconds of computing per unit, by method, as last seen
        self._typical: dict[str, float] = {}  # seconds from issuing to result, by method, in the last step
        self._checked = 0.0

    def work(self, units: int, step: Step) -> Work:
        """The work of a step that begins."""
        return Work(units, step.number, self._typical.get(step.method) or max(self._typical.values(), default=0.0))

    def end(self, work: Work, step: Step) -> None:
        """A step is over: it says what is typical of others like it."""
        self._typical[step.method] = work.typical()

    def turn(self, work: Work, step: Step) -> list[object]:
        """Give every worker the calls it can take, wait until something comes, and take it; returns what is not its own.

        Raises:
            UnitError: a unit raised, or killed several workers.
            ClusterError: workers keep failing to start, or their results could differ.
        """
        self._check(work)
        self._issue(work, step)
        others, arrived = [], self.inbox.take(TICK)
        if arrived:
            self._tell(events.AnswersArrived())
        for message in arrived:
            if not isinstance(message, Arrived):
                others.append(message)
            elif isinstance(message.of, WorkerHandle):
                self._collect(message, work, step)
            else:
                self.pool.admit(message)
        return others

    def _issue(self, work: Work, step: Step) -> None:
        takers, calls, reissued = self.pool.takers, 0, work.reissued
        self._tell(events.TurnBegan(work.waiting))
        size = partial(self._size, work, self._pace.get(step.method))
        for worker, call in takers.issue(work, size, time.monotonic):
            reference = self.pool.staff.send(worker.actor, step, call.units, takers.expected(worker, work, call))
            worker.calls[reference] = call
            self.inbox.expect(reference, worker)
            self._tell(events.CallIssued(worker.number, call, again=work.reissued > reissued))
            reissued, calls = work.reissued, calls + 1
        self._tell(events.IssueEnded(calls))

    def _size(self, work: Work, pace: float | None, worker: WorkerHandle) -> int:
        return units_per_call(work, self.pool.takers.crew, pace, self._devices, worker.workers)

    def _collect(self, arrived: Arrived, work: Work, step: Step) -> None:
        """Take a finished call's results, or give what it had to others if the worker died."""
        worker, reference = arrived.of, arrived.reference
        if reference not in worker.calls:
            return  # of a worker that was lost a moment ago
        try:
            data = arrived.value.result()
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UnitError | UserError):  # a supervisor has it from its workers
                raise error.cause from error
            what = f"raised {type(error.cause).__name__}: {error.cause}"
            raise UnitError(worker.calls[reference].units[0], what) from error
        except ray.exceptions.RayError:
            self._lost(worker, work)
            return
        answer = read_answer(data, worker.calls[reference].units)
        call = self.pool.takers.pop_call(worker, reference, answer.units)
        self.pool.heard(worker, answer.workers, answer.lost)
        if call.step == step.number:
            now = time.monotonic()
            self._pace[step.method] = answer.seconds / len(call.units)
            for unit, result in zip(answer.units, answer.results, strict=True):
                work.done(unit, result, now)
        size = sum(map(len, answer.results))
        self._tell(events.CallCollected(worker.number, call, answer.seconds, size, answer.workers))

    def _lost(self, worker: WorkerHandle, work: Work) -> None:
        for unit in _wait_again(self.pool.remove_lost(worker), work)[:1]:
            if work.deaths[unit] >= DEATHS_PER_UNIT:
                what = f"killed {work.deaths[unit]} workers in a row"
                raise UnitError(unit, f"{what}; most often memory: lower plan.chunk or plan.memory_mib")

    def _check(self, work: Work) -> None:
        """Look once a second for machines that have come or are about to go, and for workers that are silent."""
        now = time.monotonic()
        if now - self._checked < SECONDS_BETWEEN_CHECKS:
            return
        self._checked = now
        self.pool.check_nodes()
        if not work.typical():
            return  # nobody has ever answered: the work may just take long
        limit = max(GIVEN_UP, 20 * work.typical())
        for worker in list(self.pool.takers):
            oldest = min((call.since for call in worker.calls.values()), default=now)
            if now - oldest > limit:
                log.warning("a worker has been silent for %.0f s and is given up", now - oldest)
                _wait_again(self.pool.give_up(worker), work)


def _wait_again(calls: list[Call], work: Work) -> list[int]:
    """Let others have what a lost worker had of this step; returns those units."""
    units = [unit for call in calls if call.step == work.step for unit in call.units]
    work.lost(units)
    return units
