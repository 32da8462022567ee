"""Simulated processes that hand out, as `distributed.hub` and `distributed.supervisor` do: each does one thing after the other.

What a process does is a generator that yields the seconds it computes for, or `WAIT`. Who gets which units is decided by
`distributed.work`, as on a cluster.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeAlias

from es_randomized.distributed.work import TICK, Call, CallTaker, Order, Takers, Work, units_per_call
from es_randomized.scaling.simulation.clock import Clock, Cores
from es_randomized.scaling.simulation.costs import Costs
from es_randomized.scaling.simulation.machines import Machine, SimulatedWorker

WAIT = math.inf  # yielded: until something comes


class Done(NamedTuple):
    """A message: the results of call `number`, computed in so many seconds."""

    worker: "Taker"
    number: int
    seconds: float


class Asked(Order):
    """A message to a supervisor: a call of a step, and whom to answer."""

    def __init__(self, call: Call, expected: int, method: str, answer: Callable[[float], None]) -> None:
        super().__init__(call.units, expected)
        self.step, self.method, self.answer = call.step, method, answer


class Process:
    """Runs a generator on cores that it shares.

    Attributes:
        busy: seconds it computed.
    """

    def __init__(self, clock: Clock, cores: Cores) -> None:
        self.clock, self.cores, self.busy = clock, cores, 0.0
        self.inbox: list[object] = []
        self._waiting, self._waits = False, 0

    def run(self, doing: Iterator[float]) -> None:
        """Begin; it ends when it has nothing to do any more."""
        self._doing = doing
        self._resume()

    def tell(self, message: object) -> None:
        """Something comes."""
        self.inbox.append(message)
        if self._waiting:
            self._waiting = False
            self.clock.after(0.0, self._resume)  # with everything else that comes at this moment

    def taken(self) -> list[object]:
        """What has come."""
        taken, self.inbox = self.inbox, []
        return taken

    def _resume(self) -> None:
        for seconds in self._doing:
            if seconds == WAIT:
                if not self.inbox:
                    self._wait()
                    return
            elif seconds > 0:
                self.busy += seconds
                self.cores.run(seconds, self._resume)
                return

    def _wait(self) -> None:
        self._waiting = True
        self._waits += 1
        self.clock.after(TICK, partial(self._alarm, self._waits))

    def _alarm(self, number: int) -> None:
        if self._waiting and self._waits == number:
            self._waiting = False
            self._resume()


class SimulatedHub(Process):
    """A process that hands out.

    Args:
        send: takes a call to a worker or supervisor, which can expect so many more units; with its number and method.
        numbers: of calls.
    """

    def __init__(
        self,
        clock: Clock,
        cores: Cores,
        costs: Costs,
        send: "Callable[[SimulatedHub, Taker, Call, int, int, str], None]",
        numbers: Iterator[int],
    ) -> None:
        super().__init__(clock, cores)
        self.takers: Takers[Taker] = Takers()
        self._costs, self._send, self._numbers = costs, send, numbers
        self._pace: dict[str, float] = {}
        self.computed = 0.0  # seconds of computing that answers told of

    def issue(self, work: Work, method: str) -> Iterator[float]:
        """Give everybody what they can take, and wait."""
        yield self._costs.turn.at(len(self.takers))
        size = partial(self._size, work, method)
        for worker, call in self.takers.issue(work, size, lambda: self.clock.now):
            number = next(self._numbers)
            worker.calls[number] = call
            yield self._costs.issue
            self._send(self, worker, call, self.takers.expected(worker, work), number, method)
        yield WAIT

    def _size(self, work: Work, method: str, worker: "Taker") -> int:
        return units_per_call(work, self.takers.crew, self._pace.get(method), 1, worker.workers)

    def collect(self, work: Work, done: Done, method: str) -> Iterator[float]:
        """Take the results of a call."""
        yield self._costs.collect
        if done.number not in done.worker.calls:
            return
        call = self.takers.pop_call(done.worker, done.number)
        if call.step != work.step:
            return
        self._pace[method] = done.seconds / len(call.units)
        self.computed += done.seconds
        for unit in call.units:
            work.done(unit, b"", self.clock.now)


class SimulatedSupervisor(SimulatedHub, CallTaker):
    """A supervisor: a worker to the coordinator, and the coordinator of its machine's workers.

    Attributes:
        calls: of the coordinator, under way.
    """

    def __init__(
        self,
        clock: Clock,
        cores: Cores,
        costs: Costs,
        send: "Callable[[SimulatedHub, Taker, Call, int, int, str], None]",
        numbers: Iterator[int],
        machine: Machine,
    ) -> None:
        super().__init__(clock, cores, costs, send, numbers)
        self.machine, self.workers = machine, len(machine.workers)
        self.calls: dict[int, Call] = {}
        self.leaving = False
        for worker in machine.workers:
            self.takers.add(worker)
        self.run(self._serve())

    def _serve(self) -> Iterator[float]:
        work, method, orders = Work(0), "", list[Asked]()
        while self.machine.alive:
            yield from self.issue(work, method)
            for message in self.taken():
                if isinstance(message, Done):
                    yield from self.collect(work, message, method)
                elif isinstance(message, Asked):
                    yield self._costs.receive
                    if message.step > work.step:
                        work, method, orders = Work(0, message.step), message.method, []
                        self.computed = 0.0
                    if message.step == work.step:
                        work.more(message.units, message.expected)
                        orders.append(message)
            for order in [order for order in orders if order.complete(work)]:
                orders.remove(order)
                order.answer(self.computed * len(order.units) / len(work.results))


Taker: TypeAlias = SimulatedWorker | SimulatedSupervisor
