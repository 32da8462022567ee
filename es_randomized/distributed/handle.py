"""The coordinator's side of one worker: what it has under way and what it has done."""

import time
from dataclasses import dataclass, field
from typing import Any

from es_randomized.distributed.work import Call
from es_randomized.distributed.worker import WorkerInfo
from es_randomized.drivers.workers import WorkerStatus


@dataclass(eq=False)
class WorkerHandle:
    """A worker that is ready.

    Attributes:
        calls: under way, by the reference of their answer, in the order they were issued.
        leaving: its machine is about to go: it finishes its calls and gets no more.
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
        return WorkerStatus(
            number=self.number,
            node=self.info.node,
            pid=self.info.pid,
            device=self.info.device,
            joined=self.joined,
            under_way=sum(len(call.units) for call in calls),
            since=min((call.since for call in calls), default=None),
            units=self.units,
            busy=self.busy,
            late=self.late,
            gone=gone,
            lost=lost,
        )
