"""Simulated workers and the machines they are on: they compute what they are sent in order, and come, go and die."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from es_randomized.distributed.work import Call, CallTaker
from es_randomized.scaling.simulation.clock import Clock, Cores

if TYPE_CHECKING:
    from es_randomized.scaling.simulation.hubs import Taker


@dataclass(eq=False)
class Machine:
    """Workers that share a copy of every message and a fate.

    Attributes:
        takers: who gets calls from outside: the workers, or the machine's supervisor.
        received: when the messages of a step are there, by step.
    """

    workers: list["SimulatedWorker"] = field(default_factory=list)
    takers: Sequence["Taker"] = ()
    alive: bool = True
    received: dict[int, float] = field(default_factory=dict)


@dataclass(eq=False)
class SimulatedWorker(CallTaker):
    """A worker as `work.issue` sees it, and what it has received and not begun."""

    machine: Machine
    cores: Cores
    clock: Clock
    calls: dict[int, Call] = field(default_factory=dict)
    leaving: bool = False
    workers: int = 1
    _queue: deque[tuple[float, Callable[[float], None]]] = field(default_factory=deque)
    _busy: bool = False

    def compute(self, seconds: float, then: Callable[[float], None]) -> None:
        """Compute for so many seconds after all that came before, then call `then` with the time it took on the clock."""
        self._queue.append((seconds, then))
        self._begin()

    def _begin(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        seconds, then = self._queue.popleft()
        self.cores.run(seconds, partial(self._end, self.clock.now, then))

    def _end(self, began: float, then: Callable[[float], None]) -> None:
        self._busy = False
        if self.machine.alive:
            then(self.clock.now - began)
            self._begin()
