"""Evaluate chunks, and compute parts of updates, on Ray workers, whoever they are and whoever dies.

Units are handed out as workers become free, two calls in hand each so that nobody waits for a message; results come back in
any order and are placed by number. What a dead worker had is handed out again, what is far slower than its peers is handed
out a second time, and a worker that stays silent is given up. An exception in the code of a task stops the run: evaluating
again would only raise it again.
"""

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import ray
from jaxtyping import Float

from es_randomized.config.yaml import dump
from es_randomized.distributed.cores import claims_folder
from es_randomized.distributed.messages import Argument, answer, answered, call
from es_randomized.distributed.pool import Pool, Remote, first_ready
from es_randomized.distributed.resolution import demands
from es_randomized.distributed.work import TICK, Call, Result, Work, hand_out, portion
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.driver import Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.errors import WorkerError
from es_randomized.strategies.placement import updates_here
from es_randomized.strategies.strategy import Ask, Parts

DEATHS_PER_UNIT = 3
GIVEN_UP = 60.0  # seconds, at least, after which a silent worker counts as lost; and 20 times the usual
NEWS = 60.0  # seconds without any worker before the log says so again

log = logging.getLogger(__name__)


class RayEvaluator(Evaluator):
    """A pool of workers on the current Ray session; see `session.connect`.

    Args:
        evolution: the resolved experiment.
        workers: how many; by default as many as the cluster has room for, now and whenever that changes.
        devices: accelerators, or else cores, of each worker.

    Raises:
        ClusterError: the workers do not start, or do not go together.
    """

    def __init__(self, evolution: Evolution, workers: int | None = None, devices: int = 1) -> None:
        self.evolution, self.devices = evolution, devices
        self._fixed = workers
        self._kind, options = demands(devices)
        # A record of every call for Ray's dashboard would be most of what travels; the timeline keeps our own.
        options |= {"max_restarts": 0, "max_task_retries": 0, "enable_task_events": False}
        self._actor: Any = ray.remote(**options)(WorkerOnNode)
        self._arguments = (dump(evolution.experiment), self._claims() if self._kind == "CPU" else None, devices)
        self._step = 0
        self._sent: tuple[Ask, Argument] | None = (
            None  # a generation's update needs the message of its evaluation again
        )
        self._updated_here: bool | None = None  # what the log said last
        self._pace: dict[str, float] = {}  # seconds of computing per unit, by method, as last seen
        self._usual: dict[str, float] = {}  # seconds from handing out to result, by method, in the last step
        self.pool = Pool(self._start, self._wanted, evolution.experiment.plan.mixed_devices)
        self.pool.fill()
        while len(self.pool.ready) < (workers or 1) or (not workers and self.pool.starting):
            found = first_ready(list(self.pool.starting), NEWS)
            for reference in found:
                self.pool.admit(reference)
            if not found:
                log.warning(
                    "%d workers are ready; still waiting for others to start: is the machine busy, or the cluster full?",
                    len(self.pool.ready),
                )

    @property
    def size(self) -> int:  # type: ignore[override]
        """Devices that work now."""
        return len(self.pool.ready) * self.devices

    def evaluate(self, ask: Ask) -> Float[np.ndarray, " loss"]:
        results = self._all("evaluate", ask, len(self.evolution.chunks))
        return self.evolution.in_id_order([self.evolution.chunk_of(data) for data in results])

    def parts_of(self, parts: Parts, ask: Ask, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        here = self.updates_here(parts)
        if here is not self._updated_here:
            log.info(
                "updates are computed by %s from generation %d on",
                "the coordinator" if here else "workers",
                ask.generation,
            )
            self._updated_here = here
        if here:
            return parts.here(ask.proposal, shaped)
        results = self._all("parts", ask, parts.count, Argument.of(shaped, shaped.nbytes))
        return [np.frombuffer(data, np.float32).reshape(parts.shape) for data in results]

    def updates_here(self, parts: Parts) -> bool:
        """Whether the coordinator computes the update, given who works now."""
        # Bits agree within one platform only, so an update never moves between two of them.
        return updates_here(parts, self.size) and self._kind.lower() == jax.default_backend()

    def workers(self) -> list[WorkerStatus]:
        return self.pool.workers()

    def close(self) -> None:
        self.pool.close()

    def _all(self, method: str, ask: Ask, units: int, *shared: Argument) -> list[Result]:
        """Results of all units of one step of a generation, in order."""
        self._step += 1
        generation, arguments = ask.generation, (self.message_of(ask), *shared)
        usual = self._usual.get(method) or max(self._usual.values(), default=0.0)
        work, heard = Work(units, self._step, usual), time.monotonic()
        while not work.complete:
            now = time.monotonic()
            self.pool.look(now)
            self._hand_out(work, method, generation, arguments)
            calls = self.pool.calls()
            for reference in first_ready([*calls, *self.pool.starting], TICK):
                if reference in self.pool.starting:
                    self.pool.admit(reference)
                elif reference in calls:
                    self._collect(calls[reference], reference, work, method, generation)
            self._give_up_silent(work)
            if self.pool.ready:
                heard = now
            elif now - heard > NEWS:
                log.warning("there is no worker; waiting for the cluster to have room for one")
                heard = now
        if work.again:
            log.info("%d times a unit of generation %d was issued again because it was late", work.again, generation)
        self._usual[method] = work.usual()
        return [work.results[unit] for unit in range(units)]

    def message_of(self, ask: Ask) -> Argument:
        """What workers need to make the proposal of an ask; put into shared memory once, if it is large."""
        if self._sent is None or self._sent[0] is not ask:
            message = self.evolution.strategy.message(ask)
            self._sent = ask, Argument.of(message, sum(array.nbytes for array in message))
        return self._sent[1]

    def _hand_out(self, work: Work, method: str, generation: int, arguments: tuple[Argument, ...]) -> None:
        share = partial(portion, work, len(self.pool.ready), self._pace.get(method), self.devices)
        again = work.again
        for remote, given in hand_out(work, self.pool.ready, share, time.monotonic):
            if work.again > again:
                again = work.again
                self.pool.late(self._step, given.units)
            remote.calls[call(remote.actor, method, generation, arguments, given.units)] = given

    def _collect(self, remote: Remote, reference: Any, work: Work, method: str, generation: int) -> None:
        """Take a finished call's results, or bury its worker."""
        if reference not in remote.calls:
            return  # buried a moment ago
        try:
            data = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            what = self._address(method, remote.calls[reference].units[0], generation)
            raise WorkerError(f"{what} raised {type(error.cause).__name__}: {error.cause}") from error
        except ray.exceptions.RayError:
            self._lost(remote, work, method, generation)
            return
        given = remote.calls.pop(reference)
        results, seconds = answer(data, len(given.units))
        remote.finished(given, seconds)
        if given.step == self._step:
            now = time.monotonic()
            self._pace[method] = seconds / len(given.units)
            for unit, result in zip(given.units, results, strict=True):
                work.done(unit, result, now)

    def _again(self, calls: list[Call], work: Work) -> list[int]:
        """Let others have what a lost worker had of this step."""
        units = [unit for given in calls if given.step == self._step for unit in given.units]
        work.lost(units)
        return units

    def _lost(self, remote: Remote, work: Work, method: str, generation: int) -> None:
        for unit in self._again(self.pool.bury(remote), work)[:1]:
            if work.deaths[unit] >= DEATHS_PER_UNIT:
                raise WorkerError(
                    f"{self._address(method, unit, generation)} killed {work.deaths[unit]} workers in a row; "
                    "most often memory: lower plan.chunk or plan.memory_mib"
                )

    def _give_up_silent(self, work: Work) -> None:
        if not work.usual():
            return  # nobody has ever answered: the work may just take long
        limit, now = max(GIVEN_UP, 20 * work.usual()), time.monotonic()
        for remote in list(self.pool.ready):
            oldest = min((given.since for given in remote.calls.values()), default=now)
            if now - oldest > limit:
                log.warning("a worker has been silent for %.0f s and is given up", now - oldest)
                self._again(self.pool.give_up(remote), work)

    def _address(self, method: str, unit: int, generation: int) -> str:
        if method == "evaluate":
            return f"the evaluation of {self.evolution.address(unit, generation)}"
        return f"part {unit} of the update of generation {generation}"

    def _claims(self) -> Path:
        context = ray.get_runtime_context()
        return claims_folder(f"{context.gcs_address}-{context.get_job_id()}")

    def _start(self) -> tuple[Any, Any]:
        actor = self._actor.remote(*self._arguments)
        return actor, actor.ready.remote()

    def _wanted(self) -> int:
        if self._fixed:
            return self._fixed
        return max(1, int(ray.cluster_resources().get(self._kind, 0)) // self.devices)


class WorkerOnNode(Worker):
    """A worker that knows which machine of the cluster it is on, and answers calls."""

    def ready(self, node: str = "") -> Any:
        return super().ready(ray.get_runtime_context().get_node_id())

    def call(self, packed: bytes, *large: Any) -> bytes:
        """See `messages.call`."""
        return answered(self, packed, large)
