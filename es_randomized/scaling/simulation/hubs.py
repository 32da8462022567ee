"""Simulated processes that hand out, as `distributed.hub` and `distributed.supervisor` do: each does one thing after the other.

What a process does is a generator that yields the seconds it computes for, or `WAIT`. Who gets which units is decided by
`distributed.work`, as on a cluster.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from es_randomized.distributed.orders import Order, Orders
from es_randomized.distributed.work import TICK, Call, CallTaker, Takers, Work, units_per_call
from es_randomized.scaling.simulation.clock import Clock, Cores
from es_randomized.scaling.simulation.costs import Costs
from es_randomized.scaling.simulation.machines import Machine, SimulatedWorker

Answer: TypeAlias = Callable[[float, int, Sequence[int]], None]

WAIT = math.inf  # yielded: until something comes
SECONDS_BETWEEN_CHECKS = 1.0  # as the pool's


class Done(NamedTuple):
    """A message: the answer to call `number`.

    Attributes:
        seconds: of computing.
        workers: that whoever answers has now.
        units: that it brings; none: those that the call asked for.
    """

    worker: "Taker"
    number: int
    seconds: float
    workers: int
    units: Sequence[int] = ()


class Joined(NamedTuple):
    """A message: the workers of a machine are ready."""

    machine: Machine


class Lost(NamedTuple):
    """A message: a machine is gone."""

    machine: Machine


class Asked(Order):
    """A message to a supervisor: a call of a step, and whom to answer: with seconds, workers and units, see `Done`."""

    def __init__(self, call: Call, expected: int, method: str, answer: "Answer") -> None:
        super().__init__(list(call.units), expected)  # what it was, whatever whoever asked makes of it
        self.step, self.method, self.answer = call.step, method, answer


@runtime_checkable
class World(Protocol):
    """What is around those who hand out.

    Attributes:
        numbers: of calls.
    """

    clock: Clock
    cores: Cores
    costs: Costs
    numbers: Iterator[int]

    def send(self, sender: "SimulatedHub", taker: "Taker", call: Call, expected: int, number: int, method: str) -> None:
        """Take a call to a worker or supervisor, which can expect so many more units."""

    def replace(self, above: "SimulatedHub", machine: Machine) -> None:
        """Get another machine for one that is gone or is about to go."""

    def lost(self, units: int) -> None:
        """A lost machine had so many units."""


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

    Attributes:
        machine: that it is on.
        noticed: machines below it that are about to go.
        computed: seconds of computing that answers told of.
    """

    def __init__(self, world: World, machine: Machine) -> None:
        super().__init__(world.clock, world.cores)
        self.machine, self.noticed, self.computed = machine, list[Machine](), 0.0
        self.takers: Takers[Taker] = Takers()
        self._world, self._costs = world, world.costs
        self._pace: dict[str, float] = {}
        self._checked = 0.0

    def add(self, machine: Machine) -> None:
        """The workers of a machine, or its supervisor, get calls from now on."""
        for taker in machine.takers:
            self.takers.add(taker)

    def turn(self, work: Work, method: str) -> Generator[float, None, list[object]]:
        """Give everybody what they can take, wait, and take what comes; returns what is not its own."""
        self._check()
        yield from self._issue(work, method)
        yield WAIT
        others = []
        for message in self.taken():
            match message:
                case Done():
                    yield from self._collect(work, message, method)
                case Joined():
                    self.add(message.machine)
                case Lost():
                    self._remove_lost(work, message.machine)
                case _:
                    others.append(message)
        return others

    def _issue(self, work: Work, method: str) -> Iterator[float]:
        yield self._costs.turn.at(len(self.takers))
        size = partial(self._size, work, method)
        for worker, call in self.takers.issue(work, size, lambda: self.clock.now):
            number = next(self._world.numbers)
            worker.calls[number] = call
            yield self._costs.issue
            self._world.send(self, worker, call, self.takers.expected(worker, work, call), number, method)

    def _size(self, work: Work, method: str, worker: "Taker") -> int:
        return units_per_call(work, self.takers.crew, self._pace.get(method), 1, worker.workers)

    def _collect(self, work: Work, done: Done, method: str) -> Iterator[float]:
        yield self._costs.collect
        if done.number not in done.worker.calls:
            return
        self.takers.resize(done.worker, done.workers)
        call = self.takers.pop_call(done.worker, done.number, done.units)
        if call.step != work.step:
            return
        self._pace[method] = done.seconds / len(call.units)
        self.computed += done.seconds
        for unit in call.units:
            work.done(unit, b"", self.clock.now)

    def _check(self) -> None:
        """As the pool's: whoever is to go gets nothing more, and leaves when no call is under way."""
        if self.clock.now - self._checked < SECONDS_BETWEEN_CHECKS:
            return
        self._checked = self.clock.now
        for machine in self.noticed:
            for taker in machine.takers:
                taker.leaving = True
            self._world.replace(self, machine)
        self.noticed = []
        for taker in [taker for taker in self.takers if taker.leaving and not taker.calls]:
            self.takers.remove(taker)

    def _remove_lost(self, work: Work, machine: Machine) -> None:
        """As the pool's: what lost workers had waits again, and others are started in their place."""
        if not any(taker.leaving for taker in machine.takers):
            self._world.replace(self, machine)
        for taker in machine.takers:
            units = [unit for call in taker.calls.values() if call.step == work.step for unit in call.units]
            self._world.lost(len(units))
            work.lost(units)
            taker.calls.clear()
            self.takers.remove(taker)


class SimulatedSupervisor(SimulatedHub, CallTaker):
    """A supervisor: a worker to whoever asks it, and the coordinator of its machine's workers, or of its group's machines.

    Attributes:
        calls: that it was asked for, under way.
    """

    def __init__(self, world: World, machine: Machine, workers: int) -> None:
        super().__init__(world, machine)
        self.calls: dict[int, Call] = {}
        self.leaving, self.workers = False, workers
        self.run(self._serve())

    def _serve(self) -> Iterator[float]:
        work, method = Work(0), ""
        orders = Orders[Asked](work)
        while self.machine.alive:
            for message in (yield from self.turn(work, method)):
                assert isinstance(message, Asked)
                yield self._costs.receive
                if message.step > work.step:
                    work, method, self.computed = Work(0, message.step), message.method, 0.0
                    orders = Orders(work)
                if message.step == work.step:
                    orders.add(message)
            for order, units in orders.ready():
                order.answer(self.computed * len(units) / len(work.results), max(1, self.takers.crew.workers), units)


Taker: TypeAlias = SimulatedWorker | SimulatedSupervisor
