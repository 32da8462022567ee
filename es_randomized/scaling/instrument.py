"""An evaluator that is measured: it can work with some of its workers only, and says what each generation cost."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jaxtyping import Float

from es_randomized.distributed import events
from es_randomized.distributed.blocked import blocked_workers
from es_randomized.distributed.evaluator import RayEvaluator
from es_randomized.distributed.pool import WorkerHandle
from es_randomized.distributed.staff import shape_here
from es_randomized.drivers.driver import Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.scaling.generation import Generation, GenerationCost
from es_randomized.strategies.strategy import Ask, Parts, State

WARM_UP = 1  # generations before any is counted


class InstrumentedEvaluator(Evaluator):
    """A `RayEvaluator` that can work with some of its workers only, and says what each generation cost.

    Args:
        claims: see `RayEvaluator`.

    Attributes:
        here: whether the coordinator computes updates; None: as the evaluator decides.
        everyone: all workers, those with cores of their own first.
        pinned: how many have cores of their own.
        message_bytes: of a generation's distribution, once one was sent.
        shape: who would hand out to whom in a run; here it is flat, since workers are used one by one.
    """

    def __init__(self, evolution: Evolution, workers: int | None = None, devices: int = 1, claims: str = "") -> None:
        self.evolution, self.message_bytes = evolution, 0
        self.here: bool | None = None
        self._listener: GenerationCost | None = None
        self.shape = shape_here(workers, devices)
        self._evaluator = RayEvaluator(evolution, workers, devices, self._hear, claims=claims, fanout="flat")
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
        listener = GenerationCost(len({worker.info.node for worker in self._evaluator.pool.takers}))
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
    first = evaluator.everyone[0]
    with blocked_workers(others, first.info) as crowd:
        evaluator.use([first, *crowd])
        try:
            yield
        finally:
            evaluator.use([first])
