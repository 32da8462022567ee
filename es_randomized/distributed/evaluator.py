"""Evaluate chunks, and compute parts of updates, on Ray workers, whoever they are and whoever dies.

Units are issued as workers become free, two calls to each so that nobody waits for a message; results come back in any order
and are placed by number. What a dead worker had is issued again, what takes far longer than the rest is issued a second time,
and a worker that stays silent is given up. An exception in the code of a task stops the run: evaluating again would only raise
it again.
"""

import logging
import time
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import ray
from jaxtyping import Float
from ray import ObjectRef
from ray.actor import ActorHandle

from es_randomized.compilation import platform_here
from es_randomized.config.yaml import dump
from es_randomized.distributed import events
from es_randomized.distributed.actor import WorkerActor
from es_randomized.distributed.events import Event, EventListener
from es_randomized.distributed.history import WorkerHistory
from es_randomized.distributed.messages import Argument, read_answer, send_call
from es_randomized.distributed.pool import Pool, WorkerHandle, first_ready
from es_randomized.distributed.resolution import demands
from es_randomized.distributed.work import TICK, Call, Result, Work, issue, units_per_call
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.evolution import evolution_at
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.errors import WorkerError
from es_randomized.strategies.placement import updates_here
from es_randomized.strategies.strategy import Ask, Parts

DEATHS_PER_UNIT = 3
GIVEN_UP = 60.0  # seconds, at least, after which a silent worker counts as lost; and 20 times what is typical
NEWS = 60.0  # seconds without any worker before the log says so again

log = logging.getLogger(__name__)


class Step(NamedTuple):
    """One step of a generation: its number in the run, the worker's method, and what every call needs."""

    number: int
    method: str
    generation: int
    arguments: tuple[Argument, ...]


class RayEvaluator(Evaluator):
    """A pool of workers on the current Ray session; see `session.connect`.

    Args:
        driver: of the resolved experiment: `Evolution`, or one with phases.
        workers: how many; by default as many as the cluster can take, now and whenever that changes.
        devices: accelerators, or else cores, of each worker.
        listener: hears how every step goes on; see `events`.
        claims: evaluators with different names here may give the same cores to their workers, if they take turns.

    Raises:
        ClusterError: the workers do not start, or their results could differ.
    """

    def __init__(
        self,
        driver: Driver,
        workers: int | None = None,
        devices: int = 1,
        listener: EventListener | None = None,
        *,
        claims: str = "",
    ) -> None:
        self.driver, self.devices = driver, devices
        self._wanted_workers, self._listener, self._history = workers, listener, WorkerHistory()
        self._kind, options = demands(devices)
        # A record of every call for Ray's dashboard would be most of what travels; the timeline keeps our own.
        options |= {"max_restarts": 0, "max_task_retries": 0, "enable_task_events": False}
        self._actor: Any = ray.remote(**options)(WorkerActor)
        self._arguments = (dump(driver.experiment), claims if self._kind == "CPU" else None, devices)
        self._steps = 0
        self._sent: tuple[Ask, Argument] | None = None  # an update needs the message of its evaluation again
        self._updated_here: bool | None = None  # what the log said last
        self._pace: dict[str, float] = {}  # seconds of computing per unit, by method, as last seen
        self._typical: dict[str, float] = {}  # seconds from issuing to result, by method, in the last step
        self.pool = Pool(self._start, self._wanted, driver.experiment.plan.mixed_devices, self._tell)
        self.pool.fill()
        self._wait_for_workers(workers)

    @property
    def size(self) -> int:  # type: ignore[override]
        """Devices that work now."""
        return len(self.pool.active) * self.devices

    def evaluate(self, ask: Ask) -> Float[np.ndarray, " loss"]:
        evolution = evolution_at(self.driver, ask.generation)
        results = self._run("evaluate", ask, len(evolution.chunks))
        return evolution.in_id_order([evolution.chunk_of(data) for data in results])

    def parts_of(self, parts: Parts, ask: Ask, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        here = self.updates_here(parts)
        if here is not self._updated_here:
            log.info(
                "updates are computed by %s from generation %d on",
                "the coordinator" if here else "workers",
                ask.generation,
            )
            self._updated_here = here
        return parts.here(ask.proposal, shaped) if here else self.parts_of_workers(parts, ask, shaped)

    def parts_of_workers(self, parts: Parts, ask: Ask, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        """All parts of an ask's update, computed by the workers even where the coordinator would be faster."""
        results = self._run("parts", ask, parts.count, Argument.of(shaped, shaped.nbytes))
        return [np.frombuffer(data, np.float32).reshape(parts.shape) for data in results]

    def updates_here(self, parts: Parts) -> bool:
        """Whether the coordinator computes the update, given who works now."""
        # Bits agree within one platform only, so an update never moves between two of them.
        return updates_here(parts, self.size) and self._kind.lower() == platform_here()

    def message_of(self, ask: Ask) -> Argument:
        """What workers need to make the proposal of an ask; put into shared memory once, if it is large."""
        if self._sent is None or self._sent[0] is not ask:
            message = evolution_at(self.driver, ask.generation).strategy.message(ask)
            self._sent = ask, Argument.of(message, sum(array.nbytes for array in message))
        return self._sent[1]

    def workers(self) -> list[WorkerStatus]:
        return self._history.workers()

    def close(self) -> None:
        self.pool.close()

    def _run(self, method: str, ask: Ask, units: int, *shared: Argument) -> list[Result]:
        """Results of all units of one step of a generation, in order."""
        self._steps += 1
        step = Step(self._steps, method, ask.generation, (self.message_of(ask), *shared))
        work = Work(units, step.number, self._typical.get(method) or max(self._typical.values(), default=0.0))
        last_seen = time.monotonic()
        self._tell(events.StepBegan(step.number, method, tuple(argument.bytes for argument in step.arguments)))
        while not work.complete:
            now = time.monotonic()
            self.pool.check_nodes(now)
            self._issue(work, step)
            self._receive(work, step)
            self._give_up_silent(work)
            if self.pool.active:
                last_seen = now
            elif now - last_seen > NEWS:
                log.warning("there is no worker; waiting until the cluster can take one")
                last_seen = now
        self._tell(events.StepEnded())
        if work.reissued:
            log.info(
                "%d times a unit of generation %d was issued again because it was late", work.reissued, ask.generation
            )
        self._typical[method] = work.typical()
        return [work.results[unit] for unit in range(units)]

    def _issue(self, work: Work, step: Step) -> None:
        """Give every worker the calls it can take."""
        workers, pace, calls = self.pool.active, self._pace.get(step.method), 0
        self._tell(events.TurnBegan(work.waiting))
        size = partial(units_per_call, work, len(workers), pace, self.devices)
        reissued = work.reissued
        for worker, call in issue(work, workers, size, time.monotonic):
            reference = send_call(worker.actor, step.method, step.generation, step.arguments, call.units)
            worker.calls[reference] = call
            self._tell(events.CallIssued(worker.number, call, again=work.reissued > reissued))
            reissued, calls = work.reissued, calls + 1
        self._tell(events.IssueEnded(calls))

    def _receive(self, work: Work, step: Step) -> None:
        """Wait until something comes, and take it."""
        calls = self.pool.calls()
        references = first_ready([*calls, *self.pool.starting], TICK)
        if references:
            self._tell(events.AnswersArrived())
        for reference in references:
            if reference in self.pool.starting:
                self.pool.admit(reference)
            elif reference in calls:
                self._collect(calls[reference], reference, work, step)

    def _collect(self, worker: WorkerHandle, reference: ObjectRef, work: Work, step: Step) -> None:
        """Take a finished call's results, or give what it had to others if the worker died."""
        if reference not in worker.calls:
            return  # of a worker that was lost a moment ago
        try:
            data = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            what = self._name(step, worker.calls[reference].units[0])
            raise WorkerError(f"{what} raised {type(error.cause).__name__}: {error.cause}") from error
        except ray.exceptions.RayError:
            self._lost(worker, work, step)
            return
        call = worker.calls.pop(reference)
        results, seconds = read_answer(data, len(call.units))
        if call.step == step.number:
            now = time.monotonic()
            self._pace[step.method] = seconds / len(call.units)
            for unit, result in zip(call.units, results, strict=True):
                work.done(unit, result, now)
        self._tell(events.CallCollected(worker.number, call, seconds, sum(map(len, results))))

    def _tell(self, event: Event) -> None:
        self._history(event)
        if self._listener:
            self._listener(event)

    def _lost(self, worker: WorkerHandle, work: Work, step: Step) -> None:
        for unit in _wait_again(self.pool.remove_lost(worker), work)[:1]:
            if work.deaths[unit] >= DEATHS_PER_UNIT:
                raise WorkerError(
                    f"{self._name(step, unit)} killed {work.deaths[unit]} workers in a row; "
                    "most often memory: lower plan.chunk or plan.memory_mib"
                )

    def _give_up_silent(self, work: Work) -> None:
        if not work.typical():
            return  # nobody has ever answered: the work may just take long
        limit, now = max(GIVEN_UP, 20 * work.typical()), time.monotonic()
        for worker in list(self.pool.active):
            oldest = min((call.since for call in worker.calls.values()), default=now)
            if now - oldest > limit:
                log.warning("a worker has been silent for %.0f s and is given up", now - oldest)
                _wait_again(self.pool.give_up(worker), work)

    def _name(self, step: Step, unit: int) -> str:
        """A unit of a step, for people."""
        if step.method == "evaluate":
            evolution = evolution_at(self.driver, step.generation)
            return f"the evaluation of {evolution.address(unit, step.generation)}"
        return f"part {unit} of the update of generation {step.generation}"

    def _start(self) -> tuple[ActorHandle, ObjectRef]:
        actor = self._actor.remote(*self._arguments)
        return actor, actor.ready.remote()

    def _wanted(self) -> int:
        if self._wanted_workers:
            return self._wanted_workers
        return max(1, int(ray.cluster_resources().get(self._kind, 0)) // self.devices)

    def _wait_for_workers(self, workers: int | None) -> None:
        while len(self.pool.ready) < (workers or 1) or (not workers and self.pool.starting):
            references = first_ready(list(self.pool.starting), NEWS)
            for reference in references:
                self.pool.admit(reference)
            if not references:
                log.warning(
                    "%d workers are ready; still waiting for others to start: is the machine busy, or the cluster full?",
                    len(self.pool.ready),
                )


def _wait_again(calls: list[Call], work: Work) -> list[int]:
    """Let others have what a lost worker had of this step; returns those units."""
    units = [unit for call in calls if call.step == work.step for unit in call.units]
    work.lost(units)
    return units
