"""A run, simulated: the evaluator's own bookkeeping and rules, with simulated workers, messages, failures and time.

Who gets which units, and what is issued again, is decided by `distributed.work`, the very code that runs on a cluster.
Here are only the times: the coordinator does one thing after the other, workers compute what they have in order, messages
take their time. The coordinator is a generator that yields the seconds it computes for, or `WAIT`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import NamedTuple

from es_randomized.distributed.work import TICK, Call, Takers, Work, units_per_call
from es_randomized.scaling.simulation.clock import Clock, Cores
from es_randomized.scaling.simulation.costs import NO_HAZARDS, Cluster, Costs, Hazards
from es_randomized.scaling.simulation.machines import Machine, SimulatedWorker

SECONDS_BETWEEN_CHECKS = 1.0  # as the pool's
BYTES_PER_LOSS = 4
WAIT = math.inf  # yielded by the coordinator: until something comes


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


class Done(NamedTuple):
    """A message: the results of call `number`, computed in so many seconds."""

    worker: SimulatedWorker
    number: int
    seconds: float


class Joined(NamedTuple):
    """A message: the workers of a machine are ready."""

    machine: Machine


class Lost(NamedTuple):
    """A message: a machine is gone."""

    machine: Machine


class _Run:
    def __init__(self, costs: Costs, cluster: Cluster, chunks: int, here: bool, hazards: Hazards, seed: int) -> None:
        self.costs, self.cluster, self.chunks, self.here, self.hazards = costs, cluster, chunks, here, hazards
        self.population = chunks * costs.members
        self.clock, self.chance, self.result = Clock(), Random(seed), SimulationResult(members=self.population)
        self.cores = Cores(self.clock, cluster.cores, cluster.crowded)
        self.ready: Takers[SimulatedWorker] = Takers()
        self._steps, self._numbers = count(1), count()
        self._inbox: list[Done | Joined | Lost] = []
        self._waiting, self._waits = False, 0
        self._noticed: list[Machine] = []
        self._checked = 0.0
        self._pace: dict[str, float] = {}
        self._sending, self._receiving = 0.0, 0.0  # until when the coordinator's network is in use, each way
        self._over, self._busy, self._computed = False, 0.0, 0.0
        self._populate()

    def of(self, generations: int) -> SimulationResult:
        self._coordinator = self._generations(generations)
        self._resume()
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
        self.result.busy = self._busy / elapsed
        self.result.idle = 1 - self._computed / (elapsed * self.cluster.workers)
        self._over = True

    def _begin_counting(self) -> None:
        self.result = SimulationResult(members=self.population)
        self._busy = self._computed = 0.0

    def _step(self, method: str, units: int) -> Iterator[float]:
        """As the evaluator's `_run`."""
        work = Work(units, next(self._steps))
        while not work.complete:
            yield self.costs.turn.at(len(self.ready))
            self._check_machines()
            for worker, call in self.ready.issue(work, lambda: self._units(work, method), lambda: self.clock.now):
                number = next(self._numbers)
                worker.calls[number] = call
                yield self.costs.issue
                self._send(worker, call, number, method)
            yield WAIT
            arrived, self._inbox = self._inbox, []
            for message in arrived:
                match message:
                    case Done():
                        yield self.costs.collect
                        self._collect(work, message, method)
                    case Lost():
                        self._remove_lost(work, message.machine)
                    case Joined():
                        self._add(message.machine)
        self.result.reissued += work.reissued

    def _units(self, work: Work, method: str) -> int:
        return units_per_call(work, len(self.ready), self._pace.get(method))

    def _collect(self, work: Work, done: Done, method: str) -> None:
        if done.number not in done.worker.calls:
            return
        call = self.ready.pop_call(done.worker, done.number)
        if call.step != work.step:
            return
        self._pace[method] = done.seconds / len(call.units)
        for unit in call.units:
            work.done(unit, b"", self.clock.now)

    def _resume(self) -> None:
        for seconds in self._coordinator:
            if seconds == WAIT:
                if not self._inbox:
                    self._wait()
                    return
            elif seconds > 0:
                self._busy += seconds
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

    def _tell(self, message: Done | Joined | Lost) -> None:
        """Something comes to the coordinator."""
        self._inbox.append(message)
        if self._waiting:
            self._waiting = False
            self.clock.after(0.0, self._resume)  # with everything else that comes at this moment

    # Messages and workers

    def _send(self, worker: SimulatedWorker, call: Call, number: int, method: str) -> None:
        costs, population, evaluating = self.costs, self.population, method == "evaluate"
        if costs.background:
            self.cores.occupy(costs.background)
        self.result.calls += 1
        size = costs.message if evaluating else BYTES_PER_LOSS * population
        there = self._at_machine(worker.machine, call.step, size) + (costs.latency + self.cluster.latency) / 2
        if evaluating:
            seconds = sum(costs.chunk_seconds(self.chance) for _ in call.units)
            results = BYTES_PER_LOSS * costs.members * len(call.units)
        else:
            seconds, results = costs.part.at(costs.of_part(population)) * len(call.units), costs.sums * len(call.units)
        back = partial(self._back, worker, number, seconds, results)
        self.clock.at(there, partial(worker.compute, costs.receive + seconds, back))

    def _at_machine(self, machine: Machine, step: int, size: int) -> float:
        """When the message of a step is at a machine; it is sent once."""
        if step not in machine.received:
            self.result.down += size
            self._sending = max(self._sending, self.clock.now) + size / self.cluster.bandwidth
            machine.received = {step: self._sending}
        return max(self.clock.now, machine.received[step])

    def _back(self, worker: SimulatedWorker, number: int, seconds: float, size: int, elapsed: float) -> None:
        self._computed += seconds
        self.result.up += size
        self._receiving = max(self._receiving, self.clock.now) + size / self.cluster.bandwidth
        there = self._receiving + (self.costs.latency + self.cluster.latency) / 2
        self.clock.at(there, lambda: self._tell(Done(worker, number, max(0.0, elapsed - self.costs.receive))))

    # Machines that come and go

    def _populate(self) -> None:
        """Machines as they are in the long run: some are there, some are being replaced."""
        machines, hazards = -(-self.cluster.workers // self.cluster.per_machine), self.hazards
        for index in range(machines):
            workers = min(self.cluster.per_machine, self.cluster.workers - index * self.cluster.per_machine)
            if index and self.chance.random() < hazards.absent:
                self.clock.after(self.chance.uniform(0, hazards.replacement), partial(self._join, workers))
            else:
                self._add(self._machine(workers))

    def _add(self, machine: Machine) -> None:
        for worker in machine.workers:
            self.ready.add(worker)

    def _machine(self, workers: int) -> Machine:
        machine, hazards = Machine(), self.hazards
        machine.workers = [SimulatedWorker(machine, self.cores, self.clock) for _ in range(workers)]
        rate = (hazards.failures_per_hour + hazards.preemptions_per_hour) / 3600
        if rate:
            fails = self.chance.random() < hazards.failures_per_hour / (3600 * rate)
            then = self._fail if fails else self._preempt
            self.clock.after(self.chance.expovariate(rate), lambda: then(machine))
        return machine

    def _join(self, workers: int) -> None:
        self._tell(Joined(self._machine(workers)))

    def _fail(self, machine: Machine) -> None:
        machine.alive = False
        self.clock.after(self.hazards.detection, lambda: self._tell(Lost(machine)))

    def _preempt(self, machine: Machine) -> None:
        self._noticed.append(machine)
        self.clock.after(self.hazards.notice, lambda: self._end_notice(machine))

    def _end_notice(self, machine: Machine) -> None:
        machine.alive = False
        self._tell(Lost(machine))

    def _check_machines(self) -> None:
        """As the pool's: workers of machines that are to go get nothing more and leave when no call is under way."""
        if self.clock.now - self._checked < SECONDS_BETWEEN_CHECKS:
            return
        self._checked = self.clock.now
        for machine in self._noticed:
            for worker in machine.workers:
                worker.leaving = True
            self._replace(machine)
        self._noticed = []
        for worker in [worker for worker in self.ready if worker.leaving and not worker.calls]:
            self.ready.remove(worker)

    def _replace(self, machine: Machine) -> None:
        self.clock.after(self.hazards.replacement, lambda: self._join(len(machine.workers)))

    def _remove_lost(self, work: Work, machine: Machine) -> None:
        """As the evaluator's: what lost workers had waits again, and others are started in their place."""
        if not any(worker.leaving for worker in machine.workers):
            self._replace(machine)
        for worker in machine.workers:
            units = [unit for call in worker.calls.values() if call.step == work.step for unit in call.units]
            self.result.lost += len(units)
            work.lost(units)
            worker.calls.clear()
            self.ready.remove(worker)
