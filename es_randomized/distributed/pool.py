"""The workers of a run: they start, join, leave and die at any time; the pool knows who is there and what each has in hand."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from es_randomized.distributed.work import Call
from es_randomized.distributed.worker import WorkerInfo
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.errors import ClusterError, WorkerError
from es_randomized.runs.provenance import deciding_versions

FAILED_STARTS = 3
SECONDS_BETWEEN_LOOKS = 1.0

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Remote:
    """A worker that is ready.

    Attributes:
        calls: what it has in hand, in the order it was handed out.
        leaving: its machine is about to go: it finishes what it has and gets nothing more.
        number, joined, units, busy, late: see `WorkerStatus`.
    """

    actor: Any
    info: WorkerInfo
    calls: dict[Any, Call] = field(default_factory=dict)
    leaving: bool = False
    number: int = 0
    joined: float = field(default_factory=time.monotonic)
    units: int = 0
    busy: float = 0.0
    late: int = 0

    def finished(self, call: Call, seconds: float) -> None:
        """Count a call that came back."""
        self.units += len(call.units)
        self.busy += seconds

    def status(self, gone: float | None = None, lost: bool = False) -> WorkerStatus:
        """How it is doing, or did until it went."""
        calls = list(self.calls.values())  # a copy in one step: whoever watches is another thread
        in_hand, since = sum(len(call.units) for call in calls), min((call.since for call in calls), default=None)
        return WorkerStatus(
            self.number, self.info.node, self.info.pid, self.info.device, self.joined, in_hand, since,
            self.units, self.busy, self.late, gone, lost,
        )  # fmt: skip


class Pool:
    """Workers on the current Ray session.

    Args:
        start: starts one actor; returns it and the reference of its `WorkerInfo`, which comes when it is ready.
        wanted: how many workers there should be now.
        mixed: whether workers on different kinds of device, whose last bits differ, may work together.
    """

    def __init__(self, start: Callable[[], tuple[Any, Any]], wanted: Callable[[], int], mixed: bool) -> None:
        self.ready: list[Remote] = []
        self.starting: dict[Any, Any] = {}
        self.replaced = 0
        self._gone: list[WorkerStatus] = []
        self._joined = 0
        self._start, self._wanted, self._mixed = start, wanted, mixed
        self._versions = deciding_versions()
        self._failed_starts = 0
        self._looked = 0.0

    def calls(self) -> dict[Any, Remote]:
        """Every call under way and who has it."""
        return {reference: remote for remote in self.ready for reference in remote.calls}

    def workers(self) -> list[WorkerStatus]:
        """Everybody who is ready, and before them everybody who has gone."""
        return [*self._gone, *(remote.status() for remote in list(self.ready))]

    def late(self, step: int, units: list[int]) -> None:
        """Count units that are issued again with those who have them."""
        for remote in self.ready:
            for call in remote.calls.values():
                if call.step == step:
                    remote.late += len(set(call.units) & set(units))

    def look(self, now: float) -> None:
        """Notice machines that have come or are about to go; at most once a second."""
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        going = _draining_nodes()
        for remote in self.ready:
            if remote.info.node in going and not remote.leaving:
                remote.leaving = True
                log.warning("machine %s is about to go; its worker finishes what it has", remote.info.node[:8])
        for remote in [each for each in self.ready if each.leaving and not each.calls]:
            self._remove(remote, lost=False)
            ray.kill(remote.actor)
        self.fill()

    def fill(self) -> None:
        """Start as many workers as are missing."""
        staying = sum(not remote.leaving for remote in self.ready)
        for _ in range(self._wanted() - staying - len(self.starting)):
            actor, reference = self._start()
            self.starting[reference] = actor

    def admit(self, reference: Any) -> None:
        """A worker has finished starting: take it in, or start another if it failed.

        Raises:
            ClusterError: several in a row failed, or it does not go with the others.
            WorkerError: the experiment's code raised.
        """
        actor = self.starting.pop(reference)
        try:
            info = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(f"a worker could not start: {type(error.cause).__name__}: {error.cause}") from error
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise ClusterError(f"workers keep failing to start; the last one: {_reason(error)}") from error
            self.fill()
            return
        self._check(info)
        self._failed_starts = 0
        self.ready.append(Remote(actor, info, number=self._joined))
        self._joined += 1

    def give_up(self, remote: Remote) -> list[Call]:
        """Bury a worker that is silent, and end its process: a frozen one does not hear `ray.kill` and keeps its cores."""
        there = NodeAffinitySchedulingStrategy(remote.info.node, soft=False)
        ending: Any = ray.remote(end_worker).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        ending.remote(remote.info.pid)
        return self.bury(remote)

    def bury(self, remote: Remote) -> list[Call]:
        """Forget a worker that died or was given up, start another, and return what it had in hand."""
        calls = list(remote.calls.values())
        if remote in self.ready:
            self._remove(remote, lost=True)
            self.replaced += 1
            log.warning("a worker died; starting another (%d replaced so far)", self.replaced)
            ray.kill(remote.actor)
            self.fill()
        remote.calls.clear()
        return calls

    def _remove(self, remote: Remote, lost: bool) -> None:
        self._gone.append(remote.status(time.monotonic(), lost))
        self.ready.remove(remote)

    def close(self) -> None:
        """End all workers."""
        for actor in [*(remote.actor for remote in self.ready), *self.starting.values()]:
            ray.kill(actor)
        self.ready, self.starting = [], {}

    def _check(self, info: WorkerInfo) -> None:
        """Refuse a worker whose results could differ from the others'."""
        for name, version in self._versions.items():
            if info.versions.get(name) != version:
                raise ClusterError(
                    f"a worker on machine {info.node[:8]} has {name} {info.versions.get(name)}, but this process has "
                    f"{version}; install the same on every machine"
                )
        kinds = {remote.info.device for remote in self.ready} | {info.device}
        if len(kinds) > 1:
            if not self._mixed:
                raise ClusterError(
                    f"workers are on different kinds of device ({', '.join(sorted(kinds))}), whose results differ in the last "
                    "bits; use machines of one kind, or accept that a run cannot be repeated exactly: plan.mixed_devices: true"
                )
            log.warning("devices of several kinds work together: %s; last bits depend on who did what", sorted(kinds))


def first_ready(references: list[Any], timeout: float | None) -> list[Any]:
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
        if process.name().startswith("ray::"):
            process.kill()


def _draining_nodes() -> set[str]:
    """Ids of machines that Ray was told to empty: an autoscaler's scale-down or a spot machine's notice."""
    from ray._private.state import state  # Ray has no public way to ask

    return set(state.get_draining_nodes())


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
