"""The workers of a run: they start, join, leave and die at any time, and the pool knows who is there."""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray
from ray import ObjectRef
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from es_randomized.distributed.compatibility import check_compatible
from es_randomized.distributed.events import EventListener, WorkerGone, WorkerJoined
from es_randomized.distributed.inbox import Arrived, Inbox
from es_randomized.distributed.ray_internals import WORKER_PROCESS
from es_randomized.distributed.staff import ANYWHERE, Place, Staff
from es_randomized.distributed.work import Call, CallTaker, Takers
from es_randomized.distributed.worker import WorkerInfo
from es_randomized.errors import ClusterError, ConfigError, WorkerError

FAILED_STARTS = 3

log = logging.getLogger(__name__)


@dataclass(eq=False)
class WorkerHandle(CallTaker):
    """A worker that is ready, or a supervisor and all its workers.

    Attributes:
        calls: under way, by the reference of their answer, in the order they were issued.
        leaving: its machine is about to go: it finishes its calls and gets no more.
        number: in the order of joining, from 0; a number is never used again.
        place: where it was started.
        workers: that compute now what it is asked for.
        lost: workers that it has lost itself.
    """

    actor: ActorHandle
    info: WorkerInfo
    calls: dict[ObjectRef, Call] = field(default_factory=dict)
    leaving: bool = False
    number: int = 0
    place: Place = ANYWHERE
    workers: int = 1
    lost: int = 0


class Pool:
    """Workers on the current Ray session, or supervisors of some.

    Args:
        staff: says who is missing, and starts them.
        inbox: hears when one is ready.
        versions: of packages that decide about bits, which all of them must have.
        mixed: whether workers on different kinds of device, whose last bits differ, may work together.
        listener: hears who joins and who goes.

    Attributes:
        ready: workers that can compute, in the order of joining.
        takers: those that get calls: all of them, unless `use` chose some.
        starting: actors, and where they start, by the reference of their `WorkerInfo`.
        replaced: how many were lost.
    """

    def __init__(
        self,
        staff: Staff,
        inbox: Inbox,
        versions: Mapping[str, str | None],
        mixed: bool,
        listener: EventListener,
    ) -> None:
        self.ready: list[WorkerHandle] = []
        self.starting: dict[ObjectRef, tuple[ActorHandle, Place]] = {}
        self.takers: Takers[WorkerHandle] = Takers()
        self.replaced = 0
        self._chosen = False
        self._joined = 0
        self.staff, self._inbox, self._versions, self._mixed, self._listener = staff, inbox, versions, mixed, listener
        self._failed_starts: Counter[str | None] = Counter()

    def use(self, workers: Iterable[WorkerHandle] | None) -> None:
        """Give calls to these workers only; None: to all, as from the beginning. The others rest."""
        self._chosen = workers is not None
        self.takers = Takers(self.ready if workers is None else workers)

    def check_nodes(self) -> None:
        """Notice machines that have come or are about to go."""
        draining = self.staff.going()
        for worker in self.ready:
            if worker.info.node in draining and not worker.leaving:
                worker.leaving = True
                log.warning("machine %s is about to go; its worker finishes what it has", worker.info.node[:8])
        for worker in [worker for worker in self.ready if worker.leaving and not worker.calls]:
            self._remove(worker, lost=False)
            ray.kill(worker.actor)
        self.fill()

    def fill(self) -> None:
        """Start as many workers as are missing."""
        staying = [worker.place for worker in self.ready if not worker.leaving]
        for place in self.staff.missing([*staying, *(place for _, place in self.starting.values())]):
            actor, reference = self.staff.start(place)
            self.starting[reference] = actor, place
            self._inbox.expect(reference, actor)

    def admit(self, arrived: Arrived) -> None:
        """A worker has finished starting: take it in, or start another if it failed.

        Raises:
            ClusterError: several in a row failed at one place, or its results could differ from the others'.
            WorkerError: the experiment's code raised.
        """
        actor, place = self.starting.pop(arrived.reference)
        try:
            info = WorkerInfo(*arrived.value.result())
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, WorkerError | ClusterError):  # a supervisor's workers could not
                raise error.cause from error
            raise WorkerError(not_started(error.cause)) from error
        except ray.exceptions.RayError as error:
            self._failed_starts[place.node] += 1
            if self._failed_starts[place.node] >= FAILED_STARTS and self.staff.there(place):
                raise ClusterError(f"workers keep failing to start; the last one: {reason_of(error)}") from error
            self.fill()
            return
        check_compatible(info, (worker.info for worker in self.ready), self._versions, self._mixed)
        del self._failed_starts[place.node]
        worker = WorkerHandle(actor, info, number=self._joined, place=place)
        self.ready.append(worker)
        if not self._chosen:
            self.takers.add(worker)
        self._joined += 1
        self._listener(WorkerJoined(worker.number, info))

    def give_up(self, worker: WorkerHandle) -> list[Call]:
        """Count a silent worker as lost, and end its process: a frozen one ignores `ray.kill` and keeps its cores."""
        there = NodeAffinitySchedulingStrategy(worker.info.node, soft=False)
        task: Any = ray.remote(end_worker).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        task.remote(worker.info.pid)
        return self.remove_lost(worker)

    def remove_lost(self, worker: WorkerHandle) -> list[Call]:
        """Forget a worker that died or was given up, start another, and return the calls it had under way."""
        calls = list(worker.calls.values())
        if worker in self.ready:
            self._remove(worker, lost=True)
            self.replaced += 1
            who = "a worker" if worker.workers == 1 else f"a supervisor of {worker.workers} workers"
            log.warning("%s died; starting another (%d replaced so far)", who, self.replaced)
            ray.kill(worker.actor)
            self.fill()
        worker.calls.clear()
        return calls

    def heard(self, worker: WorkerHandle, workers: int, lost: int) -> None:
        """An answer says how many workers compute there, and how many were lost so far."""
        if workers != worker.workers:
            self.takers.resize(worker, workers)
        if lost > worker.lost:
            log.warning(
                "a worker died below the supervisor on machine %s; its supervisor starts another", worker.info.node[:8]
            )
            self.replaced += lost - worker.lost
            worker.lost = lost

    def close(self) -> None:
        """End all workers."""
        for actor in [*(worker.actor for worker in self.ready), *(actor for actor, _ in self.starting.values())]:
            ray.kill(actor)
        self.ready, self.starting, self.takers = [], {}, Takers()

    def _remove(self, worker: WorkerHandle, lost: bool) -> None:
        self.ready.remove(worker)
        self.takers.remove(worker)
        self._listener(WorkerGone(worker.number, lost))


def end_worker(pid: int) -> None:
    """Kill a process of this machine, if it is still the worker it was."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.name().startswith(WORKER_PROCESS):
            process.kill()


def reason_of(error: Exception) -> str:
    """The last line of what Ray says of a death, which names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def not_started(cause: Exception) -> str:
    """What to say of a worker that raised while it started; this process has read the same experiment before."""
    reason = f"{type(cause).__name__}: {cause}"
    if isinstance(cause, ConfigError | ImportError):
        return (
            f"a worker cannot read the experiment that this process could ({reason}): its machine lacks a module of your own, "
            "or has another one; put it where every machine finds it, or submit from its folder: es-randomized cluster submit"
        )
    return f"a worker could not start: {reason}"
