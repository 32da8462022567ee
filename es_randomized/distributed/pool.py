"""The workers of a run: they start, join, leave and die at any time, and the pool knows who is there."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray
from ray import ObjectRef
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from es_randomized.distributed.compatibility import check_compatible
from es_randomized.distributed.events import EventListener, WorkerGone, WorkerJoined
from es_randomized.distributed.ray_internals import WORKER_PROCESS, draining_nodes
from es_randomized.distributed.work import Call
from es_randomized.distributed.worker import WorkerInfo
from es_randomized.errors import ClusterError, ConfigError, WorkerError
from es_randomized.runs.provenance import deciding_versions

FAILED_STARTS = 3
SECONDS_BETWEEN_CHECKS = 1.0

log = logging.getLogger(__name__)


@dataclass(eq=False)
class WorkerHandle:
    """A worker that is ready.

    Attributes:
        calls: under way, by the reference of their answer, in the order they were issued.
        leaving: its machine is about to go: it finishes its calls and gets no more.
        number: in the order of joining, from 0; a number is never used again.
    """

    actor: ActorHandle
    info: WorkerInfo
    calls: dict[ObjectRef, Call] = field(default_factory=dict)
    leaving: bool = False
    number: int = 0


class Pool:
    """Workers on the current Ray session.

    Args:
        start: starts one actor; returns it and the reference of its `WorkerInfo`, which comes when it is ready.
        wanted: how many workers there should be now.
        mixed: whether workers on different kinds of device, whose last bits differ, may work together.
        listener: hears who joins and who goes.

    Attributes:
        ready: workers that can compute, in the order of joining.
        starting: actors by the reference of their `WorkerInfo`.
        replaced: how many were lost.
    """

    def __init__(
        self,
        start: Callable[[], tuple[ActorHandle, ObjectRef]],
        wanted: Callable[[], int],
        mixed: bool,
        listener: EventListener,
    ) -> None:
        self.ready: list[WorkerHandle] = []
        self.starting: dict[ObjectRef, ActorHandle] = {}
        self.replaced = 0
        self._chosen: list[WorkerHandle] | None = None
        self._joined = 0
        self._start, self._wanted, self._mixed, self._listener = start, wanted, mixed, listener
        self._versions = deciding_versions()
        self._failed_starts = 0
        self._checked = 0.0

    @property
    def active(self) -> list[WorkerHandle]:
        """Workers that get calls: all that are ready, unless `use` chose some."""
        return self.ready if self._chosen is None else self._chosen

    def use(self, workers: Iterable[WorkerHandle] | None) -> None:
        """Give calls to these workers only; None: to all, as from the beginning. The others rest."""
        self._chosen = None if workers is None else list(workers)

    def calls(self) -> dict[ObjectRef, WorkerHandle]:
        """Every call of the active workers, by its reference, and who has it."""
        return {reference: worker for worker in self.active for reference in worker.calls}

    def check_nodes(self, now: float) -> None:
        """Notice machines that have come or are about to go; at most once a second."""
        if now - self._checked < SECONDS_BETWEEN_CHECKS:
            return
        self._checked = now
        draining = draining_nodes()
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
        staying = sum(not worker.leaving for worker in self.ready)
        for _ in range(self._wanted() - staying - len(self.starting)):
            actor, reference = self._start()
            self.starting[reference] = actor

    def admit(self, reference: ObjectRef) -> None:
        """A worker has finished starting: take it in, or start another if it failed.

        Raises:
            ClusterError: several in a row failed, or its results could differ from the others'.
            WorkerError: the experiment's code raised.
        """
        actor = self.starting.pop(reference)
        try:
            info = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(not_started(error.cause)) from error
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise ClusterError(f"workers keep failing to start; the last one: {_reason(error)}") from error
            self.fill()
            return
        check_compatible(info, (worker.info for worker in self.ready), self._versions, self._mixed)
        self._failed_starts = 0
        worker = WorkerHandle(actor, info, number=self._joined)
        self.ready.append(worker)
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
            log.warning("a worker died; starting another (%d replaced so far)", self.replaced)
            ray.kill(worker.actor)
            self.fill()
        worker.calls.clear()
        return calls

    def close(self) -> None:
        """End all workers."""
        for actor in [*(worker.actor for worker in self.ready), *self.starting.values()]:
            ray.kill(actor)
        self.ready, self.starting, self._chosen = [], {}, None

    def _remove(self, worker: WorkerHandle, lost: bool) -> None:
        self.ready.remove(worker)
        if self._chosen is not None and worker in self._chosen:
            self._chosen.remove(worker)
        self._listener(WorkerGone(worker.number, lost))


def first_ready(references: list[ObjectRef], timeout: float | None) -> list[ObjectRef]:
    """All references that are ready, waiting for the first one."""
    if not references:
        time.sleep(timeout or 0.0)
        return []
    ready, rest = ray.wait(references, num_returns=1, timeout=timeout)
    if ready and rest:
        ready += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
    return list(ready)


def end_worker(pid: int) -> None:
    """Kill a process of this machine, if it is still the worker it was."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.name().startswith(WORKER_PROCESS):
            process.kill()


def _reason(error: Exception) -> str:
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
