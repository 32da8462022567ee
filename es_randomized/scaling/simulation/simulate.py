"""A run, simulated: the evaluator's own bookkeeping and rules, with simulated workers, messages, failures and time.

Who gets which units, and what is issued again, is decided by `distributed.work`, and whether there are supervisors by
`distributed.shape`: the very code that runs on a cluster. Here are only the times: the coordinator and supervisors do one thing
after the other, workers compute what they have in order, messages take their time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random

from es_randomized.distributed.shape import groups_of, shape_of
from es_randomized.distributed.work import Call, Work
from es_randomized.scaling.simulation.clock import Clock, Cores
from es_randomized.scaling.simulation.costs import NO_HAZARDS, Cluster, Costs, Hazards
from es_randomized.scaling.simulation.hubs import (
    Answer,
    Asked,
    Done,
    Joined,
    Lost,
    SimulatedHub,
    SimulatedSupervisor,
    Taker,
)
from es_randomized.scaling.simulation.machines import Machine, SimulatedWorker

BYTES_PER_LOSS = 4


@dataclass
class SimulationResult:
    """What a simulated run did.

    Attributes:
        seconds: of every generation.
        members: evaluated in each.
        busy: share of the time that the coordinator computed.
        idle: share of the workers' time in which they did not.
        calls: of all generations.
        down: bytes from the coordinator, in all.
        up: bytes to the coordinator, in all.
        reissued: units issued though they were under way.
        lost: units that a lost worker had.
    """

    seconds: list[float] = field(default_factory=list)
    members: int = 0
    busy: float = 0.0
    idle: float = 0.0
    calls: int = 0
    down: int = 0
    up: int = 0
    reissued: int = 0
    lost: int = 0

    @property
    def generations_per_second(self) -> float:
        """On average."""
        return len(self.seconds) / sum(self.seconds)

    @property
    def members_per_second(self) -> float:
        """On average."""
        return self.members * self.generations_per_second


def simulate(
    costs: Costs,
    cluster: Cluster,
    chunks: int,
    generations: int,
    here: bool,
    hazards: Hazards = NO_HAZARDS,
    seed: int = 0,
) -> SimulationResult:
    """Simulate some generations, after one that is not counted.

    Args:
        chunks: of a generation.
        here: the coordinator computes updates; otherwise workers compute their parts.
    """
    return _Run(costs, cluster, chunks, here, hazards, seed).of(generations)


class _Run:
    def __init__(self, costs: Costs, cluster: Cluster, chunks: int, here: bool, hazards: Hazards, seed: int) -> None:
        self.costs, self.cluster, self.chunks, self.here, self.hazards = costs, cluster, chunks, here, hazards
        self.population = chunks * costs.members
        self.clock, self.chance, self.result = Clock(), Random(seed), SimulationResult(members=self.population)
        self.cores = Cores(self.clock, cluster.cores, cluster.crowded)
        self.shape = shape_of(_rooms(cluster), cluster.workers, cluster.fanout)
        self._steps = count(1)
        self.numbers: Iterator[int] = count()
        self.home = Machine()
        self.hub = SimulatedHub(self, self.home)
        self._sending, self._receiving = 0.0, 0.0  # until when the coordinator's network is in use, each way
        self._over, self._computed = False, 0.0
        self._populate()

    def of(self, generations: int) -> SimulationResult:
        self.hub.run(self._generations(generations))
        while not self._over:
            self.clock.step()
        return self.result

    # The coordinator

    def _generations(self, generations: int) -> Iterator[float]:
        costs, began = self.costs, 0.0
        for generation in range(1 + generations):
            yield costs.before
            yield from self._step("evaluate", self.chunks)
            if self.here:
                yield costs.here.at(self.population)
            else:
                yield from self._step("parts", costs.parts * costs.blocks(self.population))
                yield costs.told.at(self.population)
            if generation:
                self.result.seconds.append(self.clock.now - began)
            else:
                self._begin_counting()
            began = self.clock.now
        elapsed = sum(self.result.seconds)
        self.result.busy = self.hub.busy / elapsed
        self.result.idle = 1 - self._computed / (elapsed * self.cluster.workers)
        self._over = True

    def _begin_counting(self) -> None:
        self.result = SimulationResult(members=self.population)
        self.hub.busy = self._computed = 0.0

    def _step(self, method: str, units: int) -> Iterator[float]:
        """As the evaluator's `_run`."""
        work = Work(units, next(self._steps))
        while not work.complete:
            yield from self.hub.turn(work, method)
        self.result.reissued += work.reissued

    # Messages and workers

    def send(self, sender: SimulatedHub, taker: Taker, call: Call, expected: int, number: int, method: str) -> None:
        """A call on its way: from the coordinator's machine over the network, or within a machine."""
        costs, far = self.costs, sender.machine is not taker.machine
        latency = costs.latency + (self.cluster.latency if far else 0.0)
        there = self.clock.now + latency / 2
        if sender is self.hub:
            if costs.background:
                self.cores.occupy(costs.background)
            self.result.calls += 1
        if far:
            size = costs.message if method == "evaluate" else BYTES_PER_LOSS * self.population
            there = self._at_machine(taker.machine, call.step, size) + latency / 2
        if isinstance(taker, SimulatedSupervisor):
            results = self._bytes(call, method)
            back = partial(self._back, sender, taker, number, latency, results)
            self.clock.at(there, partial(taker.tell, Asked(call, expected, method, back)))
            return
        seconds, results = self._seconds(call, method), self._bytes(call, method)
        back = partial(self._back, sender, taker, number, latency, results)
        computed = partial(self._computes, seconds, back)
        self.clock.at(there, partial(taker.compute, costs.receive + seconds, computed))

    def _computes(self, seconds: float, back: Answer, elapsed: float) -> None:
        """A worker is done with a call that takes so many seconds without its neighbours; it took `elapsed`."""
        self._computed += seconds
        back(max(0.0, elapsed - self.costs.receive), 1, ())

    def _seconds(self, call: Call, method: str) -> float:
        costs = self.costs
        if method == "evaluate":
            return sum(costs.chunk_seconds(self.chance) for _ in call.units)
        return costs.part.at(costs.of_part(self.population)) * len(call.units)

    def _bytes(self, call: Call, method: str) -> int:
        each = BYTES_PER_LOSS * self.costs.members if method == "evaluate" else self.costs.sums
        return each * len(call.units)

    def _at_machine(self, machine: Machine, step: int, size: int) -> float:
        """When the message of a step is at a machine; it is sent once."""
        if step not in machine.received:
            self.result.down += size
            self._sending = max(self._sending, self.clock.now) + size / self.cluster.bandwidth
            machine.received = {step: self._sending}
        return max(self.clock.now, machine.received[step])

    def _back(
        self,
        to: SimulatedHub,
        taker: Taker,
        number: int,
        latency: float,
        size: int,
        seconds: float,
        workers: int,
        units: Sequence[int],
    ) -> None:
        """An answer on its way back to whoever sent the call."""
        there = self.clock.now
        if to.machine is not taker.machine:
            self.result.up += size
            there = self._receiving = max(self._receiving, there) + size / self.cluster.bandwidth
        self.clock.at(there + latency / 2, lambda: to.tell(Done(taker, number, seconds, workers, units)))

    # Machines that come and go

    def _populate(self) -> None:
        """Machines as they are in the long run: some are there, some are being replaced."""
        hazards, rooms = self.hazards, _rooms(self.cluster)
        above = self._above(rooms)
        for index, workers in enumerate(rooms):
            hub = above[index % len(above)]
            if index and self.chance.random() < hazards.absent:
                self.clock.after(self.chance.uniform(0, hazards.replacement), partial(self._join, hub, workers))
            else:
                hub.add(self._machine(hub, workers))

    def _above(self, rooms: list[int]) -> list[SimulatedHub]:
        """Who hands out to machines: the coordinator, or supervisors of groups beside it."""
        if self.shape.fanout != "groups":
            return [self.hub]
        count = groups_of(len(rooms))
        groups = [SimulatedSupervisor(self, self.home, sum(rooms[index::count])) for index in range(count)]
        for group in groups:
            self.hub.takers.add(group)
        return [*groups]

    def _machine(self, above: SimulatedHub, workers: int) -> Machine:
        machine, hazards = Machine(), self.hazards
        machine.workers = [SimulatedWorker(machine, self.cores, self.clock) for _ in range(workers)]
        machine.takers = machine.workers
        if self.shape.fanout != "flat":
            supervisor = SimulatedSupervisor(self, machine, workers)
            supervisor.add(machine)
            machine.takers = [supervisor]
        rate = (hazards.failures_per_hour + hazards.preemptions_per_hour) / 3600
        if rate:
            fails = self.chance.random() < hazards.failures_per_hour / (3600 * rate)
            then = self._fail if fails else self._preempt
            self.clock.after(self.chance.expovariate(rate), lambda: then(above, machine))
        return machine

    def _join(self, above: SimulatedHub, workers: int) -> None:
        above.tell(Joined(self._machine(above, workers)))

    def _fail(self, above: SimulatedHub, machine: Machine) -> None:
        machine.alive = False
        self.clock.after(self.hazards.detection, lambda: above.tell(Lost(machine)))

    def _preempt(self, above: SimulatedHub, machine: Machine) -> None:
        above.noticed.append(machine)
        self.clock.after(self.hazards.notice, lambda: self._end_notice(above, machine))

    def _end_notice(self, above: SimulatedHub, machine: Machine) -> None:
        machine.alive = False
        above.tell(Lost(machine))

    def replace(self, above: SimulatedHub, machine: Machine) -> None:
        """Another machine comes later, for whoever handed out to this one."""
        self.clock.after(self.hazards.replacement, partial(self._join, above, len(machine.workers)))

    def lost(self, units: int) -> None:
        """Count units that a lost machine had."""
        self.result.lost += units


def _rooms(cluster: Cluster) -> list[int]:
    """Workers of every machine."""
    starts = range(0, cluster.workers, cluster.per_machine)
    return [min(cluster.per_machine, cluster.workers - start) for start in starts]
