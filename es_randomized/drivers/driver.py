"""What a driver is: it moves the weights of one experiment, a generation at a time. The loop and the run folder know no more."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from es_randomized.compilation import HERE, Compiler
from es_randomized.config.experiment import Experiment
from es_randomized.drivers.ledger import Cost
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.errors import ConfigError
from es_randomized.settings import DriverSettings
from es_randomized.strategies.optimizers import with_fresh_schedules
from es_randomized.strategies.strategy import Ask, Parts, PartsOf, State


class Evaluator(ABC):
    """One loss per member, in id order, or one per view of the batch and member; every implementation returns the same bits.

    Attributes:
        size: devices that train.
    """

    size: int

    @abstractmethod
    def evaluate(self, ask: Ask) -> Float[np.ndarray, " loss"]:
        """Raw losses of all members of the generation."""

    def parts_of(self, parts: Parts, ask: Ask, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        """All parts of an ask's update for shaped losses, in order."""
        raise NotImplementedError("this evaluator computes no updates")

    def workers(self) -> list[WorkerStatus]:
        """Who works for it and who has gone; nobody where everything is computed in this process."""
        return []

    def close(self) -> None:
        """Free what the evaluator holds."""

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Program(NamedTuple):
    """A program that a generation runs.

    Attributes:
        name: for people.
        function: as `jit` returned it.
        arguments: pytrees of arrays, or of their shapes.
        calls: in a generation; 0 for what is not part of one.
        flops: of its matrix products in one call, by the ledger; 0 where there are none to speak of.
    """

    name: str
    function: Any
    arguments: tuple[Any, ...]
    calls: int
    flops: float = 0.0


class Driver(ABC):
    """An experiment made executable. States are pytrees of arrays, and every method is a function of its arguments.

    Attributes:
        Settings: of the section `driver:`.
        experiment: resolved: `auto` entries of its plan are numbers where this driver uses them.
    """

    Settings: ClassVar[type[DriverSettings]]

    experiment: Experiment

    @classmethod
    @abstractmethod
    def of(cls, experiment: Experiment, share_with: "Driver | None" = None, compiler: Compiler = HERE) -> "Driver":
        """Bind an experiment; `auto` entries of its plan that this driver uses are resolved, the others are kept and checked.

        Args:
            share_with: whose plan and compiled programs it shares, if it is of this class; see program_sharing.py.
            compiler: of the device that it is planned for; one of a user's own may do without this argument.

        Raises:
            ConfigError: this driver cannot train the experiment's task.
            MemoryBudgetError: nothing fits the memory its plan allows.
        """

    @property
    @abstractmethod
    def title(self) -> str:
        """One line for people."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of weights."""

    @property
    @abstractmethod
    def losses_per_generation(self) -> int:
        """How many losses a step returns and the journal keeps."""

    def of_members(self, losses: Float[np.ndarray, " loss"], generation: int) -> Float[np.ndarray, " member"]:
        """Of what the journal keeps of a generation, the loss of every member on its whole batch: the ones to report."""
        return losses

    def at(self, generation: int) -> "Driver":
        """The driver that computes a generation: of a run with phases the one of its phase."""
        return self

    def own_state(self, state: State, generation: int) -> State:
        """Of the state before a generation, what the driver `at` that generation goes on from."""
        return state

    def anew_since(self, generation: int) -> int:
        """The generation at which the weights of this one began as fresh ones: 0, unless a phase began anew since."""
        return 0

    def first_with_members(self) -> int | None:
        """The first generation that evaluates members, which may happen anywhere; None where there is none."""
        return self.experiment.first if self.experiment.driver.distributed else None

    @abstractmethod
    def init(self) -> State:
        """The state before the first generation; every driver starts from the same fresh weights."""

    def start(self, weights: Float[Any, " param"]) -> State:
        """The state before the first generation that starts from these weights instead.

        Raises:
            ConfigError: this driver cannot; the default.
        """
        raise ConfigError(
            f"{type(self).__name__} does not say how to start from given weights, which start_from and phases need; define its "
            "method start(weights)"
        )

    def carry(self, state: State, fresh: State) -> State:
        """The state before the first generation of a phase, from the end of the phase before it; see `Strategy.carry`."""
        return with_fresh_schedules(state, fresh)

    def like(self, generation: int) -> State:
        """A state of the structure that states before this generation have."""
        return self.init()

    @abstractmethod
    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " loss"], State]:
        """Run one generation: its raw losses, as the journal keeps them, and the state after it.

        Raises:
            NonFiniteLossError: NaN or infinite numbers that the experiment does not put up with.
        """

    @abstractmethod
    def replay(
        self,
        state: State,
        generation: int,
        losses: Float[np.ndarray, " loss"],
        parts_of: PartsOf | None = None,
    ) -> State:
        """The state after a generation whose losses are recorded: the same bits as `step` returned.

        Args:
            parts_of: where to compute the parts of an update; here by default.
        """

    @abstractmethod
    def centre(self, state: State) -> Float[Array, " param"]:
        """The weights this driver would answer with now."""

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        """Weights this driver could answer with, by what they are; the centre alone by default."""
        return {"the centre": self.centre(state)}

    @abstractmethod
    def cost(self) -> Cost:
        """What one generation costs; of a run with phases the first one."""

    def cost_of(self, generations: int) -> Cost:
        """What so many generations from the first one on cost."""
        return self._cost.times(generations)

    @cached_property
    def _cost(self) -> Cost:
        """Asked for after every generation, and models trace their weights to count, which takes longer than a small one."""
        return self.cost()

    def programs(self) -> list[Program]:
        """All that one generation runs on devices and that takes long, the evaluation of its members first.

        By default nothing is known, and the driver's memory and speed on other devices cannot be told.
        """
        return []

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """How one generation (with phases, of the first) is computed, for people: name and value; compiles its program."""
