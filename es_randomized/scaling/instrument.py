"""An evaluator that keeps accounts: what every generation cost the coordinator, its workers and the network.

The coordinator's time is the processor time of its thread, so waiting costs nothing; kernel time is what workers report.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import ray

from es_randomized.distributed.evaluator import RayEvaluator
from es_randomized.distributed.messages import SMALL, Argument
from es_randomized.distributed.pool import Remote
from es_randomized.distributed.work import IN_HAND, Call, Result, Work
from es_randomized.drivers.evolution import Evolution
from es_randomized.strategies.strategy import Ask, Parts, State

WARM_UP = 1  # generations before any is counted


@dataclass
class Generation:
    """One generation; times in seconds.

    Attributes:
        seconds: from the old state to the new one.
        before: until the first call could be handed out: the ask and its message.
        after: all that was neither before nor in steps that workers compute: the update, or what is left of it.
        turns: how often the coordinator looked at what had come.
        calls: to workers.
        turn: processor time of all turns, without handing out and collecting.
        issue: processor time of handing out.
        collect: processor time of taking results.
        background: processor time of the process's other threads meanwhile.
        chunks: of every call that evaluated, the worker's time per chunk.
        parts: of every call that updated, the worker's time per part.
        computed: the workers' time in all.
        first: of calls to idle workers, the time from handing out to the result without the worker's own.
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


class InstrumentedEvaluator(RayEvaluator):
    """A `RayEvaluator` that can work with some of its workers only and writes down what each generation cost.

    Attributes:
        here: whether the coordinator computes updates; None: as the evaluator decides.
        everyone: all workers, those with cores of their own first.
        pinned: how many have cores of their own.
        message_bytes: of a generation's distribution, once one was sent.
    """

    def __init__(self, evolution: Evolution, workers: int | None = None, devices: int = 1) -> None:
        super().__init__(evolution, workers, devices)
        self.here: bool | None = None
        cores = ray.get([remote.actor.__ray_call__.remote(_cores) for remote in self.pool.ready])
        order = sorted(range(len(cores)), key=cores.__getitem__)
        self.everyone = [self.pool.ready[place] for place in order]
        self.pinned = sum(count == min(cores) for count in cores) if min(cores) < max(cores) else len(cores)
        self._now = Generation()
        self.message_bytes: int = 0
        self._ended: dict[int, float] = {}
        self._steps: list[tuple[float, float]] = []

    def using(self, workers: list[Remote]) -> None:
        """Work with these from now on; the others rest."""
        self.pool.ready, self._fixed = list(workers), len(workers)

    def close(self) -> None:
        self.using(self.everyone)
        super().close()

    def generation(self, state: State, number: int) -> tuple[Generation, State]:
        """Run one and account for it."""
        self._now, self._steps = Generation(), []
        began = time.perf_counter()
        _, state = self.evolution.step(state, number, self)
        jax.block_until_ready(state)
        found, ended = self._now, time.perf_counter()
        found.seconds, found.before = ended - began, self._steps[0][0] - began
        found.after = found.seconds - found.before - sum(end - start for start, end in self._steps)
        return found, state

    def generations(self, seconds: float, least: int = 3) -> list[Generation]:
        """Run generations from the first state on for so many seconds, and at least so many of them."""
        state = self.evolution.init()
        found: list[Generation] = []
        for number in range(WARM_UP):
            _, state = self.generation(state, number)
        until = time.monotonic() + seconds
        while len(found) < least or time.monotonic() < until:
            account, state = self.generation(state, WARM_UP + len(found))
            found.append(account)
        return found

    def _claims(self) -> Path:
        """Cores are claimed among the workers of one evaluator: several of them take turns."""
        return super()._claims() / str(id(self))

    def updates_here(self, parts: Parts) -> bool:
        return super().updates_here(parts) if self.here is None else self.here

    def evaluate(self, ask: Any) -> Any:
        if not self.message_bytes:
            self.message_bytes = sum(array.nbytes for array in self.evolution.strategy.message(ask))
        return super().evaluate(ask)

    def _all(self, method: str, ask: Ask, units: int, *shared: Argument) -> list[Result]:
        now, calls = self._now, self._now.calls
        self._ended = {}
        began, thread, process = time.perf_counter(), time.thread_time(), time.process_time()
        spent = now.issue + now.collect
        results = super()._all(method, ask, units, *shared)
        thread, process = time.thread_time() - thread, time.process_time() - process
        now.turn += thread - (now.issue + now.collect - spent)
        now.background += process - thread
        self._steps.append((began, time.perf_counter()))
        sizes = [self.message_bytes] if method == "evaluate" else [4 * self.evolution.strategy.population]
        if method != "evaluate" and self.message_bytes <= SMALL:
            sizes.append(self.message_bytes)
        machines = len({remote.info.node for remote in self.pool.ready})
        now.down += sum(size * (machines if size > SMALL else now.calls - calls) for size in sizes)
        now.up += sum(map(len, results))
        return results

    def _hand_out(self, work: Work, method: str, generation: int, arguments: tuple[Argument, ...]) -> None:
        waiting, began = work.waiting, time.thread_time()
        calls = sum(len(remote.calls) for remote in self.pool.ready)
        super()._hand_out(work, method, generation, arguments)
        handed = sum(len(remote.calls) for remote in self.pool.ready) - calls
        self._now.turns += 1
        self._now.calls += handed
        if handed and waiting:
            self._now.issue += time.thread_time() - began

    def _collect(self, remote: Remote, reference: Any, work: Work, method: str, generation: int) -> None:
        call, came, began = remote.calls.get(reference), time.monotonic(), time.thread_time()
        super()._collect(remote, reference, work, method, generation)
        self._now.collect += time.thread_time() - began
        if call and call.step == self._step:
            self._note(remote, call, came, method)

    def _note(self, remote: Remote, call: Call, came: float, method: str) -> None:
        now, pace = self._now, self._pace[method]
        seconds = pace * len(call.units)
        (now.chunks if method == "evaluate" else now.parts).append(pace)
        now.computed += seconds
        before = self._ended.get(id(remote))
        if before is None:
            now.first.append(came - call.since - seconds)
        elif call.since < before:
            now.next.append(came - before - seconds)
        self._ended[id(remote)] = came


@contextmanager
def crowded(evaluator: InstrumentedEvaluator, others: int) -> Iterator[None]:
    """Let the evaluator look after so many others, who have their hands full and never finish: what does a turn cost?"""
    remote: Any = ray.remote(num_cpus=0)(_Plug)
    plug = remote.remote()
    info, known = evaluator.pool.ready[0].info, list(evaluator.pool.ready)
    busy = Call(0, [0], float("inf"))
    crowd = [Remote(plug, info, {plug.block.remote(): busy for _ in range(IN_HAND)}) for _ in range(others)]
    evaluator.using(known + crowd)
    try:
        yield
    finally:
        evaluator.using(known)
        ray.kill(plug)


class _Plug:
    def block(self) -> None:
        time.sleep(3600)


def _cores(_: Any) -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def median(values: Any) -> float:
    """The median, as a plain number."""
    return float(np.median(list(values)))
