"""What every worker of a run has done so far: the timeline, Ray's metrics and displays read it."""

import time
from collections.abc import Callable

from es_randomized.distributed.events import (
    CallCollected,
    CallIssued,
    Event,
    StepBegan,
    StepEnded,
    WorkerGone,
    WorkerJoined,
)
from es_randomized.distributed.work import Call
from es_randomized.drivers.workers import WorkerStatus


class WorkerHistory:
    """A listener that adds up what workers do.

    Args:
        clock: that of `WorkerStatus`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers: dict[int, WorkerStatus] = {}
        self._calls: dict[int, list[Call]] = {}
        self._answered: dict[int, float] = {}  # in this step, when last
        self._clock = clock

    def __call__(self, event: Event) -> None:
        match event:
            case CallIssued(number, call, again):
                if again:
                    self._count_late(call)
                self._calls[number].append(call)
            case CallCollected(number, call, seconds, _, workers):
                worker = self._workers[number]
                self._workers[number] = worker._replace(
                    units=worker.units + len(call.units), busy=worker.busy + seconds, workers=workers
                )
                self._calls[number].remove(call)
                self._answered[number] = self._clock()
            case StepBegan():
                began = self._clock()
                self._answered = dict.fromkeys(self._calls, began)
            case StepEnded():
                self._count_waiting()
            case WorkerJoined(number, info):
                self._calls[number] = []
                self._workers[number] = WorkerStatus(number, info.node, info.pid, info.device, self._clock())
            case WorkerGone(number, lost):
                self._workers[number] = self._status(number)._replace(gone=self._clock(), lost=lost)
                del self._calls[number]

    def workers(self) -> list[WorkerStatus]:
        """Everybody who is there, and before them everybody who has gone."""
        return sorted(map(self._status, list(self._workers)), key=lambda worker: worker.gone is None)

    def _status(self, number: int) -> WorkerStatus:
        calls = list(self._calls.get(number, []))  # a copy in one step: displays ask from a thread of their own
        if not calls:
            return self._workers[number]
        under_way, since = sum(len(call.units) for call in calls), min(call.since for call in calls)
        return self._workers[number]._replace(under_way=under_way, since=since)

    def _count_waiting(self) -> None:
        """The step has ended: those who were there have waited for its last answer."""
        now = self._clock()
        for number in self._calls.keys() & self._answered.keys():
            worker = self._workers[number]
            self._workers[number] = worker._replace(waited=worker.waited + now - self._answered[number])

    def _count_late(self, again: Call) -> None:
        """Count units that are issued again as late ones of the workers that have them."""
        for number, calls in self._calls.items():
            units = [unit for call in calls if call.step == again.step for unit in call.units]
            late = self._workers[number].late + len(set(units) & set(again.units))
            self._workers[number] = self._workers[number]._replace(late=late)
