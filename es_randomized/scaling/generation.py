"""What one generation cost the coordinator, its workers and the network, added up from an evaluator's events.

The coordinator's time is the processor time of its thread, so waiting costs nothing; kernel time is what workers report.
"""

import time
from dataclasses import dataclass, field

from es_randomized.distributed import events
from es_randomized.distributed.messages import SMALL


@dataclass
class Generation:
    """One generation; times in seconds.

    Attributes:
        seconds: from the old state to the new one.
        before: until the first call could be issued: the ask and its message.
        after: all that was neither before nor in steps that workers compute: the update, or what is left of it.
        turns: how often the coordinator issued calls and waited for answers.
        calls: to workers.
        turn: processor time of all turns, without issuing and collecting.
        issue: processor time of issuing calls.
        collect: processor time of taking results.
        background: processor time of the process's other threads meanwhile.
        chunks: of every call that evaluated, the worker's time per chunk.
        parts: of every call that updated, the worker's time per part.
        computed: the workers' time in all.
        first: of calls to idle workers, the time from issuing to the result without the worker's own.
        next: of calls that waited for the one before, the time between their results without the worker's own.
        down: bytes to machines, without Ray's own.
        up: bytes from workers, without Ray's own.
    """

    seconds: float = 0.0
    before: float = 0.0
    after: float = 0.0
    turns: int = 0
    calls: int = 0
    turn: float = 0.0
    issue: float = 0.0
    collect: float = 0.0
    background: float = 0.0
    chunks: list[float] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    computed: float = 0.0
    first: list[float] = field(default_factory=list)
    next: list[float] = field(default_factory=list)
    down: int = 0
    up: int = 0

    @property
    def coordinator(self) -> float:
        """The coordinator's own time, apart from what it waits for."""
        return self.before + self.after + self.turn + self.issue + self.collect


class GenerationCost:
    """A listener that adds up one generation.

    Args:
        machines: that large messages go to.

    Attributes:
        cost: so far, without what only the whole generation tells: `seconds`, `before` and `after`.
        steps: when workers' steps began and ended, by `time.perf_counter`.
    """

    def __init__(self, machines: int) -> None:
        self.cost, self.steps, self._machines = Generation(), list[tuple[float, float]](), machines

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.StepBegan():
                self._step, self._calls, self._ended = event, 0, dict[int, float]()
                self._began = time.perf_counter()
                self._own = self.cost.issue + self.cost.collect
                self._thread, self._process = time.thread_time(), time.process_time()
            case events.TurnBegan():
                self._waiting, self._mark = event.waiting, time.thread_time()
            case events.IssueEnded():
                self.cost.turns += 1
                self._calls += event.calls
                if event.calls and self._waiting:
                    self.cost.issue += time.thread_time() - self._mark
            case events.AnswersArrived():
                self._mark, self._came = time.thread_time(), time.monotonic()
            case events.CallCollected():
                self._collected(event)
            case events.StepEnded():
                self._end()

    def _collected(self, event: events.CallCollected) -> None:
        cost, call, came, thread = self.cost, event.call, self._came, time.thread_time()
        cost.collect += thread - self._mark
        self._mark, self._came = thread, time.monotonic()
        if call.step != self._step.step:
            return
        (cost.chunks if self._step.method == "evaluate" else cost.parts).append(event.seconds / len(call.units))
        cost.computed += event.seconds
        cost.up += event.bytes
        before = self._ended.get(event.worker)
        if before is None:
            cost.first.append(came - call.since - event.seconds)
        elif call.since < before:
            cost.next.append(came - before - event.seconds)
        self._ended[event.worker] = came

    def _end(self) -> None:
        cost = self.cost
        thread, process = time.thread_time() - self._thread, time.process_time() - self._process
        cost.turn += thread - (cost.issue + cost.collect - self._own)
        cost.background += process - thread
        cost.calls += self._calls
        self.steps.append((self._began, time.perf_counter()))
        for index, size in enumerate(self._step.arguments):
            if size <= SMALL:
                cost.down += size * self._calls
            elif self._step.method == "evaluate" or index:  # a large message is there already when parts are computed
                cost.down += size * self._machines
