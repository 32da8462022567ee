"""What a simulation is told: measured costs, and what is assumed of machines, network, failures and prices."""

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from random import Random
from statistics import fmean, pstdev
from typing import Any, NamedTuple

from es_randomized.distributed.shape import Fanout
from es_randomized.strategies.division import blocks_of_rows

MANY = 16


class Linear(NamedTuple):
    """Seconds that grow with the population: `fixed` and as much again for every member."""

    fixed: float
    per_member: float = 0.0

    def at(self, population: int) -> float:
        """Seconds for a population."""
        return self.fixed + self.per_member * population

    @staticmethod
    def through(first: tuple[int, float], second: tuple[int, float]) -> "Linear":
        """The line through two measurements (population, seconds); nothing may cost less than nothing."""
        (few, low), (many, high) = sorted((first, second))
        if few == many:
            return Linear(max(0.0, (low + high) / 2))
        slope = max(0.0, (high - low) / (many - few))
        fixed = low - slope * few
        return Linear(fixed, slope) if fixed >= 0 else Linear(0.0, low / few)


FREE = Linear(0.0)


@dataclass(frozen=True)
class Costs:
    """What the pieces of a generation cost, in seconds of one core, and bytes.

    Attributes:
        members: of a chunk.
        chunk: measured times of one chunk on a worker; the simulation draws from them.
        repeats: measured chunks that make one of these chunks.
        parameters: of the model.
        members_per_row: members made of one row of noise.
        parts: pieces of an update by one block of rows.
        part: one of them, on a worker, by the members of its block.
        before: the coordinator's, before chunks are issued: the ask and its message.
        here: the coordinator's, from the last loss to the next state if it computes the update alone.
        told: the same without the parts, if workers compute them.
        turn: the coordinator issues calls and waits for answers once, and as much again for every worker.
        issue: of one call.
        collect: taking one call's results.
        receive: the worker's own, for every call.
        background: other threads of the coordinator's process, for every call; they only use a core.
        latency: from the end of issuing to the beginning of computing, and back: both ways together.
        message: bytes of the distribution, once to every machine and generation.
        sums: bytes of one part's result.
    """

    members: int
    chunk: tuple[float, ...]
    repeats: int = 1
    parameters: int = 1
    members_per_row: int = 1
    parts: int = 1
    part: Linear = FREE
    before: float = 0.0
    here: Linear = FREE
    told: Linear = FREE
    turn: Linear = FREE
    issue: float = 0.0
    collect: float = 0.0
    receive: float = 0.0
    background: float = 0.0
    latency: float = 0.0
    message: int = 0
    sums: int = 0

    def with_chunks_of(self, times: int) -> "Costs":
        """The same experiment with chunks of so many times the members."""
        return replace(self, members=times * self.members, repeats=times * self.repeats)

    def blocks(self, population: int) -> int:
        """Blocks of rows that its update is divided into."""
        return blocks_of_rows(population // self.members_per_row, self.parameters, self.parts)

    def of_part(self, population: int) -> int:
        """Members of a population whose rows one part of its update reads."""
        return population // self.blocks(population)

    def chunk_seconds(self, chance: Random) -> float:
        """What one chunk takes this time: measured times drawn at random, many of them by the central limit theorem."""
        if self.repeats <= MANY:
            return sum(chance.choices(self.chunk, k=self.repeats))
        return max(0.0, chance.gauss(*self._sum))

    @cached_property
    def _sum(self) -> tuple[float, float]:
        return self.repeats * fmean(self.chunk), math.sqrt(self.repeats) * pstdev(self.chunk)

    @cached_property
    def kernel(self) -> float:
        """Seconds of one core for one member, on average."""
        return fmean(self.chunk) * self.repeats / self.members

    @staticmethod
    def of(plain: dict[str, Any]) -> "Costs":
        """From what `dataclasses.asdict` and JSON make of them."""
        plain = {"members_per_row" if name == "signs" else name: value for name, value in plain.items()}  # old files
        if missing := {field.name for field in fields(Costs)} - plain.keys():
            raise ValueError(
                f"these costs lack {', '.join(sorted(missing))}; measure again: python -m benchmarks.scaling"
            )
        lines = {name: Linear(*plain[name]) for name in ("part", "here", "told", "turn")}
        return Costs(**plain | lines | {"chunk": tuple(plain["chunk"])})


@dataclass(frozen=True)
class Cluster:
    """Where a run is simulated.

    Attributes:
        workers: how many, of one core each.
        cores: shared by all workers and the coordinator; infinite: everybody has a core of their own.
        crowded: speed of a core while all of them compute, against one that computes alone.
        per_machine: workers of a machine; a machine gets a message once and fails as a whole.
        latency: of the network, both ways together, in seconds, beside the costs' own.
        bandwidth: of the coordinator's machine, bytes a second each way.
        fanout: who hands out to whom; by default what a run would choose.
    """

    workers: int
    cores: float = math.inf
    crowded: float = 1.0
    per_machine: int = 1
    latency: float = 0.0
    bandwidth: float = math.inf
    fanout: Fanout | None = None


@dataclass(frozen=True)
class Hazards:
    """What happens to machines. Rates are of one machine, and no machine remembers how long it has been there.

    Attributes:
        failures_per_hour: gone without notice.
        preemptions_per_hour: taken away with notice.
        notice: seconds between the notice and the end.
        detection: seconds until the coordinator learns that a machine is gone.
        replacement: seconds from then, or from the notice, until another one works.
    """

    failures_per_hour: float = 0.0
    preemptions_per_hour: float = 0.0
    notice: float = 30.0
    detection: float = 13.7
    replacement: float = 120.0

    @property
    def absent(self) -> float:
        """Share of the time that a machine is gone or on its way, in the long run."""
        away = self.failures_per_hour * (self.detection + self.replacement)
        away += self.preemptions_per_hour * self.replacement
        return away / (3600 + away)


NO_HAZARDS = Hazards()


@dataclass(frozen=True)
class Prices:
    """Dollars an hour."""

    worker: float
    coordinator: float

    def of(self, workers: int, evaluations_per_second: float) -> float:
        """Dollars for 1e9 evaluated members."""
        hours = 1e9 / evaluations_per_second / 3600
        return hours * (workers * self.worker + self.coordinator)
