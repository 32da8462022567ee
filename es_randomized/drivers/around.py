"""A driver around another one that trains as that does, and keeps something more in its state."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from es_randomized.compilation import HERE, Compiler
from es_randomized.config.experiment import Experiment
from es_randomized.drivers.driver import Driver, Evaluator, Program
from es_randomized.drivers.ledger import Cost
from es_randomized.strategies.strategy import PartsOf, State


@dataclass(frozen=True)
class Around(Driver):
    """The driver `inner` with states that have a field `inner`, its own state. `driver_of` makes it."""

    experiment: Experiment
    inner: Driver

    @classmethod
    def of(cls, experiment: Experiment, share_with: Driver | None = None, compiler: Compiler = HERE) -> "Around":
        raise TypeError(f"{cls.__name__} is made around another driver; use driver_of(experiment)")

    def begin(self, inner: State) -> State:
        """The state around the first one of the driver inside."""
        raise NotImplementedError

    def after(self, state: State, inner: State, generation: int) -> State:
        """The state after a generation, around that of the driver inside."""
        raise NotImplementedError

    def at(self, generation: int) -> Driver:
        return self.inner.at(generation)

    def own_state(self, state: State, generation: int) -> State:
        return self.inner.own_state(state.inner, generation)

    def first_with_members(self) -> int | None:
        return self.inner.first_with_members()

    def anew_since(self, generation: int) -> int:
        return self.inner.anew_since(generation)

    @property
    def title(self) -> str:
        return self.inner.title

    @property
    def parameters(self) -> int:
        return self.inner.parameters

    @property
    def losses_per_generation(self) -> int:
        return self.inner.losses_per_generation

    def of_members(self, losses: Float[np.ndarray, " loss"], generation: int) -> Float[np.ndarray, " member"]:
        return self.inner.of_members(losses, generation)

    def init(self) -> State:
        return self.begin(self.inner.init())

    def start(self, weights: Float[Any, " param"]) -> State:
        return self.begin(self.inner.start(weights))

    def like(self, generation: int) -> State:
        return self.begin(self.inner.like(generation))

    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " loss"], State]:
        losses, inner = self.inner.step(state.inner, generation, evaluator)
        return losses, self.after(state, inner, generation)

    def replay(
        self,
        state: State,
        generation: int,
        losses: Float[np.ndarray, " loss"],
        parts_of: PartsOf | None = None,
    ) -> State:
        return self.after(state, self.inner.replay(state.inner, generation, losses, parts_of), generation)

    def centre(self, state: State) -> Float[Array, " param"]:
        return self.inner.centre(state.inner)

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        return self.inner.answers(state.inner)

    def cost(self) -> Cost:
        return self.inner.cost()

    def cost_of(self, generations: int) -> Cost:
        return self.inner.cost_of(generations)

    def programs(self) -> list[Program]:
        return self.inner.programs()

    def describe(self) -> dict[str, str]:
        return self.inner.describe()
