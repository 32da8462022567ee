"""An evaluator that is measured: what every generation cost the coordinator, its workers and the network.

It adds up the events of a `RayEvaluator`. The coordinator's time is the processor time of its thread, so waiting costs
nothing; kernel time is what workers report.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import ray
from jaxtyping import Float

from es_randomized.distributed import events
from es_randomized.distributed.evaluator import RayEvaluator
from es_randomized.distributed.messages import SMALL
from es_randomized.distributed.pool import WorkerHandle
from es_randomized.distributed.work import CALLS_PER_WORKER, Call
from es_randomized.drivers.driver import Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.strategies.strategy import Ask, Parts, State

WARM_UP = 1  # generations before any is counted


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


class InstrumentedEvaluator(Evaluator):
    """A `RayEvaluator` that can work with some of its workers only, and says what each generation cost.

    Args:
        claims: see `RayEvaluator`.

    Attributes:
        here: whether the coordinator computes updates; None: as the evaluator decides.
        everyone: all workers, those with cores of their own first.
        pinned: how many have cores of their own.
        message_bytes: of a generation's distribution, once one was sent.
    """

    def __init__(self, evolution: Evolution, workers: int | None = None, devices: int = 1, claims: str = "") -> None:
        self.evolution, self.message_bytes = evolution, 0
        self.here: bool | None = None
        self._listener: GenerationCost | None = None
        self._evaluator = RayEvaluator(evolution, workers, devices, self._hear, claims=claims)
        self.everyone = sorted(self._evaluator.pool.ready, key=lambda worker: worker.info.cores)
        cores = [worker.info.cores for worker in self.everyone]
        self.pinned = cores.count(cores[0]) if cores[0] < cores[-1] else len(cores)

    @property
    def size(self) -> int:  # type: ignore[override]
        return self._evaluator.size

    def __enter__(self) -> "InstrumentedEvaluator":
        return self

    def use(self, workers: Iterable[WorkerHandle]) -> None:
        """Work with these from now on; the others rest."""
        self._evaluator.pool.use(workers)

    def use_first(self, workers: int) -> None:
        """Work with the first so many workers from now on."""
        self.use(self.everyone[:workers])

    def evaluate(self, ask: Ask) -> Float[np.ndarray, " loss"]:
        self.message_bytes = self._evaluator.message_of(ask).bytes
        return self._evaluator.evaluate(ask)

    def parts_of(self, parts: Parts, ask: Ask, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        if self.here is None:
            return self._evaluator.parts_of(parts, ask, shaped)
        return parts.here(ask.proposal, shaped) if self.here else self._evaluator.parts_of_workers(parts, ask, shaped)

    def updates_here(self, parts: Parts) -> bool:
        """Whether the evaluator would have the coordinator compute the update."""
        return self._evaluator.updates_here(parts)

    def close(self) -> None:
        self._evaluator.close()

    def generation(self, state: State, number: int) -> tuple[Generation, State]:
        """Run one generation and measure it."""
        listener = GenerationCost(len({worker.info.node for worker in self._evaluator.pool.active}))
        self._listener = listener
        began = time.perf_counter()
        _, state = self.evolution.step(state, number, self)
        jax.block_until_ready(state)
        ended, cost = time.perf_counter(), listener.cost
        self._listener = None
        cost.seconds, cost.before = ended - began, listener.steps[0][0] - began
        cost.after = cost.seconds - cost.before - sum(end - start for start, end in listener.steps)
        return cost, state

    def generations(self, seconds: float, least: int = 3) -> list[Generation]:
        """Run generations from the first state on for so many seconds, and at least so many of them."""
        state, costs = self.evolution.init(), list[Generation]()
        for number in range(WARM_UP):
            _, state = self.generation(state, number)
        until = time.monotonic() + seconds
        while len(costs) < least or time.monotonic() < until:
            cost, state = self.generation(state, WARM_UP + len(costs))
            costs.append(cost)
        return costs

    def _hear(self, event: events.Event) -> None:
        if self._listener:
            self._listener(event)


@contextmanager
def crowded(evaluator: InstrumentedEvaluator, others: int) -> Iterator[None]:
    """Let the first worker be one among so many others that have two calls each and never finish: what does a turn cost?"""
    actor: Any = ray.remote(num_cpus=0)(_Blocked)
    blocked, first = actor.remote(), evaluator.everyone[0]
    call = Call(0, [0], float("inf"))
    crowd = [
        WorkerHandle(blocked, first.info, {blocked.block.remote(): call for _ in range(CALLS_PER_WORKER)})
        for _ in range(others)
    ]
    evaluator.use([first, *crowd])
    try:
        yield
    finally:
        evaluator.use([first])
        ray.kill(blocked)


class _Blocked:
    """An actor whose calls never return."""

    def block(self) -> None:
        time.sleep(3600)


def median(values: Iterable[float]) -> float:
    """The median, as a plain number."""
    return float(np.median(list(values)))
