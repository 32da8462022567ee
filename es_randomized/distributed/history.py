"""What every worker of a run has done so far: the timeline, Ray's metrics and displays read it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from es_randomized.distributed.events import CallCollected, CallIssued, Event, WorkerGone, WorkerJoined
from es_randomized.distributed.work import Call
from es_randomized.distributed.worker import WorkerInfo
from es_randomized.drivers.workers import WorkerStatus


@dataclass
class _Record:
    """One worker; see `WorkerStatus`."""

    info: WorkerInfo
    joined: float
    calls: list[Call] = field(default_factory=list)
    units: int = 0
    busy: float = 0.0
    late: int = 0
    gone: float | None = None
    lost: bool = False


class WorkerHistory:
    """A listener that adds up what workers do.

    Args:
        clock: that of `WorkerStatus`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._records: dict[int, _Record] = {}
        self._clock = clock

    def __call__(self, event: Event) -> None:
        match event:
            case CallIssued():
                if event.again:
                    self._count_late(event.call)
                self._records[event.worker].calls.append(event.call)
            case CallCollected():
                record = self._records[event.worker]
                record.calls.remove(event.call)
                record.units += len(event.call.units)
                record.busy += event.seconds
            case WorkerJoined():
                self._records[event.worker] = _Record(event.info, self._clock())
            case WorkerGone():
                record = self._records[event.worker]
                record.gone, record.lost = self._clock(), event.lost

    def workers(self) -> list[WorkerStatus]:
        """Everybody who is there, and before them everybody who has gone."""
        # Copies in one step: whoever watches is another thread.
        everybody = [_status(number, record) for number, record in list(self._records.items())]
        return sorted(everybody, key=lambda worker: worker.gone is None)

    def _count_late(self, again: Call) -> None:
        """Count units that are issued again as late ones of the workers that have them."""
        for record in self._records.values():
            if record.gone is None:
                calls = (call for call in record.calls if call.step == again.step)
                record.late += sum(len(set(call.units) & set(again.units)) for call in calls)


def _status(number: int, record: _Record) -> WorkerStatus:
    calls = list(record.calls)
    return WorkerStatus(
        number=number,
        node=record.info.node,
        pid=record.info.pid,
        device=record.info.device,
        joined=record.joined,
        under_way=sum(len(call.units) for call in calls),
        since=min((call.since for call in calls), default=None),
        units=record.units,
        busy=record.busy,
        late=record.late,
        gone=record.gone,
        lost=record.lost,
    )
