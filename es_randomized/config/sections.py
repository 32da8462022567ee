"""The sections of an experiment that have no `kind`: plain numbers, the same for every task, model and driver."""

from typing import Annotated, Literal

from pydantic import Field

from es_randomized.errors import ConfigError
from es_randomized.settings import settings
from es_randomized.tasks.task import Task

AtLeastOne = Annotated[int, Field(ge=1)]
Level = Literal["average", "p95", "worst"]
Votes = Annotated[int, Field(ge=2)]


@settings
class Batch:
    """What every member of a generation is evaluated on.

    Attributes:
        instances: fresh random instances per generation, in whole bundles of the task; `all`: every one there is.
        hardest_of: half of the instances are the hardest of so many, for the centre of the search; none: all are random.
        seeds: fresh random seeds per generation, the same for all instances (m of the paper).
        fixed_seed: train on one seed that never changes: the paper's deterministic models A_r0; needs seeds: 1.
    """

    instances: AtLeastOne | Literal["all"] = 64
    hardest_of: AtLeastOne | None = None
    seeds: AtLeastOne = 8
    fixed_seed: bool = False

    def __post_init__(self) -> None:
        if self.fixed_seed and self.seeds != 1:
            raise ValueError(f"fixed_seed trains on one seed, but seeds is {self.seeds}; set seeds: 1")

        if self.hardest_of is None:
            return
        if self.instances == "all":
            raise ValueError("hardest_of chooses among random instances, but instances is all of them; leave it out")
        if self.hardest_of % self.instances:
            raise ValueError(
                f"hardest_of is {self.hardest_of}, but it must be a multiple of instances, {self.instances}; use "
                f"{self.instances * -(-self.hardest_of // self.instances)}"
            )

    def bundles(self, task: Task) -> int:
        """Bundles of `task` per generation.

        Raises:
            ConfigError: the instances are not whole bundles, or the task cannot list all of them.
        """
        if self.instances == "all":
            everything = task.enumerate()
            if everything is None:
                raise ConfigError("batch.instances: all needs a task that can list its instances; give a number")
            return int(everything.shape[-1])
        bundle = task.bundle * (2 if self.hardest_of else 1)
        if self.instances % bundle:
            near = max(1, round(self.instances / bundle)) * bundle
            halves = ", and hardest_of chooses half of them" if self.hardest_of else ""
            raise ConfigError(
                f"batch.instances is {self.instances}, but this task's instances come in bundles of {task.bundle}{halves}; "
                f"use {near}"
            )
        return self.instances // task.bundle

    def random_bundles(self, task: Task) -> int:
        """Bundles of a generation that are not chosen for being hard."""
        return self.bundles(task) // (2 if self.hardest_of else 1)

    def cases(self, task: Task) -> int:
        """Cases of one member's evaluation: bundles x seeds."""
        return self.bundles(task) * self.seeds

    def split_by(self, task: Task) -> Literal["instances", "seeds"]:
        """What a batch is halved by; what a member loses on one half and on the other differs by the noise of a batch.

        Instances where they are drawn anew; where they are always the same, only seeds are noise. Halves of instances have
        the seeds in common, so what a seed does to all instances alike is not seen as noise.

        Raises:
            ConfigError: neither can be halved.
        """
        if self.instances != "all" and self.bundles(task) % 2 == 0:
            return "instances"
        if self.seeds % 2 == 0:
            return "seeds"
        raise ConfigError(
            "this strategy compares two halves of every batch, so batch.seeds must be even, or "
            f"batch.instances an even number of bundles of {task.bundle}; they are {self.seeds} and {self.instances}"
        )


@settings
class Target:
    """What held-out checks have to find for training to end, in the unit of the task's measure (shares as fractions).

    Attributes:
        average, p95, worst: at least as good as this, on average, at the worst 5 % and at the worst of the instances; of
            several that are given, all.
        patience: in so many checks in a row.
    """

    average: float | None = None
    p95: float | None = None
    worst: float | None = None
    patience: AtLeastOne = 1

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("a target is a number for average, p95 or worst, or for several of them")

    @property
    def levels(self) -> dict[str, float]:
        """The numbers that are given."""
        given = {"average": self.average, "p95": self.p95, "worst": self.worst}
        return {name: value for name, value in given.items() if value is not None}


@settings
class Plateau:
    """When training ends because it leads nowhere.

    Attributes:
        checks: when the last so many held-out checks were no better than the best one before them.
        level: of which number: on average, at the worst 5 % or at the worst of the instances.
    """

    checks: AtLeastOne
    level: Level = "p95"


@settings
class Budget:
    """When training ends: after its generations, or before them by one of the others.

    Attributes:
        generations: how many to run; schedules span them.
        seconds: stop a session after this much training time even if generations are left; the run can be resumed.
        until: end when held-out checks find this.
        plateau: end when held-out checks find nothing better any more.
    """

    generations: AtLeastOne = 1000
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    until: Target | None = None
    plateau: Plateau | None = None


@settings
class Evaluation:
    """How a trained policy is scored.

    Attributes:
        seeds: fresh seeds every instance is run on (or runs, where the randomness comes from elsewhere).
        votes: sizes of the majority votes and of best-of-k; each at most half of `seeds`, so that a vote can be
            repeated and has an interval.
        instances: random instances where the task cannot list them all; rounded up to whole bundles.
        confidence: of every interval.
    """

    seeds: Annotated[int, Field(ge=2)] = 400
    votes: list[Votes] = Field(default_factory=lambda: [5, 30, 100])
    instances: AtLeastOne = 10_000
    confidence: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.95

    def __post_init__(self) -> None:
        too_many = [votes for votes in self.votes if 2 * votes > self.seeds]
        if too_many:
            raise ValueError(
                f"votes of {too_many[0]} need at least {2 * too_many[0]} evaluation seeds, but seeds is {self.seeds}"
            )


@settings
class Answer:
    """Which weights a run answers with at its end.

    Attributes:
        average: also keep an average of the centres, in which the one of every generation counts this much of the one
            after it (0.99: about the last hundred); the answer if it is better on held-out draws.
        by: which held-out number decides between candidates.
    """

    average: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    by: Level = "p95"


@settings
class Plan:
    """How a generation is cut up. `auto` is resolved when a run starts and saved with it.

    Attributes:
        chunk: members per unit of work.
        tile: cases per inner step of a member's evaluation; divides bundles x seeds.
        block: members, or pairs where they come in pairs, per inner step: 1 on a CPU; on an accelerator the best of several
            by the bounds of their programs.
        mixed_devices: let workers on different kinds of device work together, though their last bits differ.
        memory_mib: largest memory of one chunk's program and of a generation's ask, or of a gradient step, in MiB each.
    """

    chunk: AtLeastOne | Literal["auto"] = "auto"
    tile: AtLeastOne | Literal["auto"] = "auto"
    block: AtLeastOne | Literal["auto"] = "auto"
    mixed_devices: bool = False
    memory_mib: AtLeastOne = 2048
