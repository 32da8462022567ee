"""What an evaluator tells whoever listens: how a step goes on, and who comes and goes. No bit of a run depends on it.

A listener is called in the coordinator's own thread, so the run waits for it. `WorkerHistory` always listens: the timeline, Ray's
metrics and displays read it. Benchmarks, and the costs that the simulator is given, come from a listener too. Workers are told
apart by numbers, in the order of joining; a number is never used again.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from es_randomized.distributed.work import Call
from es_randomized.distributed.worker import WorkerInfo


class StepBegan(NamedTuple):
    """Workers are about to compute a step: their method, and the bytes of what every call needs beside its units."""

    step: int
    method: str
    arguments: tuple[int, ...]


class TurnBegan(NamedTuple):
    """The coordinator looks for workers that can take a call, while so many units wait."""

    waiting: int


class CallIssued(NamedTuple):
    """A worker was asked for units; `again`: others have them under way, but they are late."""

    worker: int
    call: Call
    again: bool


class IssueEnded(NamedTuple):
    """All workers have what they can get in this turn: so many new calls."""

    calls: int


class AnswersArrived(NamedTuple):
    """Something came while the coordinator waited; it takes one answer after the other now."""


class CallCollected(NamedTuple):
    """The results of a call are in their places: so many bytes, computed in so many seconds, as the worker says.

    Attributes:
        workers: that compute for whoever answered: 1 for a worker, those of its machine for a supervisor.
    """

    worker: int
    call: Call
    seconds: float
    bytes: int
    workers: int = 1


class StepEnded(NamedTuple):
    """Every unit has its result."""


class WorkerJoined(NamedTuple):
    """A worker is ready."""

    worker: int
    info: WorkerInfo


class WorkerGone(NamedTuple):
    """A worker left, or it was lost with what it had under way."""

    worker: int
    lost: bool


Event: TypeAlias = (
    StepBegan | TurnBegan | CallIssued | IssueEnded | AnswersArrived | CallCollected | StepEnded | WorkerJoined | WorkerGone
)  # fmt: skip
EventListener: TypeAlias = Callable[[Event], None]
