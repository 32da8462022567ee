"""Evaluate chunks, and compute parts of updates, on Ray workers; see hub.py.

An exception in the code of a task stops the run: evaluating again would only raise it again.
"""

import logging
import time

import numpy as np
import ray
from jaxtyping import Float

from es_randomized.compilation import platform_here
from es_randomized.config.yaml import dump
from es_randomized.distributed import events
from es_randomized.distributed.actor import WorkerActor
from es_randomized.distributed.events import Event, EventListener
from es_randomized.distributed.history import WorkerHistory
from es_randomized.distributed.hub import Hub, UnitError
from es_randomized.distributed.inbox import Inbox
from es_randomized.distributed.levels import Levels
from es_randomized.distributed.messages import Argument, Step
from es_randomized.distributed.pool import Pool
from es_randomized.distributed.resolution import demands
from es_randomized.distributed.shape import Fanout
from es_randomized.distributed.staff import shape_here
from es_randomized.distributed.work import Result
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.evolution import evolution_at
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.errors import WorkerError
from es_randomized.runs.provenance import deciding_versions
from es_randomized.strategies.placement import updates_here
from es_randomized.strategies.strategy import Ask, Parts

NEWS = 60.0  # seconds without any worker before the log says so again

log = logging.getLogger(__name__)


class RayEvaluator(Evaluator):
    """A pool of workers on the current Ray session; see `session.connect`.

    Args:
        driver: of the resolved experiment: `Evolution`, or one with phases.
        workers: how many; by default as many as the cluster can take, now and whenever that changes.
        devices: accelerators, or else cores, of each worker.
        listener: hears how every step goes on; see `events`.
        claims: evaluators with different names here may give the same cores to their workers, if they take turns.
        fanout: who hands out to whom; by default what is faster for so many workers and machines, see shape.py.
        worker: class of the actors that compute.

    Attributes:
        shape: who hands out to whom, and why.

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
        fanout: Fanout | None = None,
        worker: type = WorkerActor,
    ) -> None:
        self.driver, self.devices = driver, devices
        self._wanted_workers, self._listener, self._history = workers, listener, WorkerHistory()
        self._kind, options = demands(devices)
        self.shape = shape_here(workers, devices, fanout)
        log.info("handing out: %s (%s)", *self.shape)
        mixed, versions = driver.experiment.plan.mixed_devices, deciding_versions()
        arguments = (dump(driver.experiment), claims if self._kind == "CPU" else None, devices)
        levels = Levels(worker, options, arguments, self._kind, devices, versions, mixed)
        self._steps = 0
        self._sent: tuple[Ask, Argument] | None = None  # an update needs the message of its evaluation again
        self._updated_here: bool | None = None  # what the log said last
        self._inbox = Inbox()
        staff = levels.top(self.shape.fanout, workers, self._wanted)
        self.pool = Pool(staff, self._inbox, versions, mixed, self._tell)
        self._hub = Hub(self.pool, self._inbox, devices, self._tell)
        self.pool.fill()
        self._wait_for_workers(workers if self.shape.fanout == "flat" else None)

    @property
    def size(self) -> int:  # type: ignore[override]
        """Devices that work now."""
        return sum(worker.place.workers for worker in self.pool.takers) * self.devices

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
            message = evolution_at(self.driver, ask.generation).message(ask)
            self._sent = ask, Argument.of(message, sum(array.nbytes for array in message))
        return self._sent[1]

    def workers(self) -> list[WorkerStatus]:
        return self._history.workers()

    def close(self) -> None:
        self.pool.close()

    def _run(self, method: str, ask: Ask, units: int, *shared: Argument) -> list[Result]:
        """Results of all units of one step of a generation, in order."""
        self._steps += 1
        arguments = (self.message_of(ask), *shared)
        step = Step.of(self._steps, method, ask.generation, arguments)
        work = self._hub.work(units, step)
        last_seen = time.monotonic()
        self._tell(events.StepBegan(step.number, method, tuple(argument.bytes for argument in arguments)))
        while not work.complete:
            try:
                self._hub.turn(work, step)
            except UnitError as error:
                raise WorkerError(f"{self._name(step, error.unit)} {error.what}") from error.__cause__
            if self.pool.takers:
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > NEWS:
                log.warning("there is no worker; waiting until the cluster can take one")
                last_seen = time.monotonic()
        self._tell(events.StepEnded())
        self._hub.end(work, step)
        if work.reissued:
            log.info(
                "%d times a unit of generation %d was issued again because it was late", work.reissued, ask.generation
            )
        return [work.results[unit] for unit in range(units)]

    def _tell(self, event: Event) -> None:
        self._history(event)
        if self._listener:
            self._listener(event)

    def _name(self, step: Step, unit: int) -> str:
        """A unit of a step, for people."""
        if step.method == "evaluate":
            evolution = evolution_at(self.driver, step.generation)
            return f"the evaluation of {evolution.address(unit, step.generation)}"
        return f"part {unit} of the update of generation {step.generation}"

    def _wanted(self) -> int:
        if self._wanted_workers:
            return self._wanted_workers
        return max(1, int(ray.cluster_resources().get(self._kind, 0)) // self.devices)

    def _wait_for_workers(self, workers: int | None) -> None:
        """For all of them; for the first supervisor with a worker where there are supervisors."""
        everybody = self.shape.fanout == "flat" and not workers
        while len(self.pool.ready) < (workers or 1) or (everybody and self.pool.starting):
            arrived = self._inbox.take(NEWS)
            for message in arrived:
                self.pool.admit(message)
            if not arrived:
                log.warning(
                    "%d workers are ready; still waiting for others to start: is the machine busy, or the cluster full?",
                    len(self.pool.ready),
                )
