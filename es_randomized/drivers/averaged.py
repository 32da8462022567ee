"""A driver that also averages its centres (Polyak and Juditsky 1992): the noise of the last steps is not in their mean.

The average is part of the state, not recomputed by replay: snapshots then give it back at once, and of gradient descent a replay
costs as much as training. It is a function of the centres alone, added up in one process, so its bits are as exact as theirs.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from es_randomized.config.experiment import Experiment
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.ledger import Cost
from es_randomized.strategies.strategy import PartsOf, State


class AveragedState(NamedTuple):
    """The state of the driver inside, and the average of its centres up to there."""

    inner: Any
    average: Float[Any, " param"]


@dataclass(frozen=True)
class Averaged(Driver):
    """The same training as by the driver `inner`, and one more candidate for the answer. `driver_of` makes it."""

    experiment: Experiment
    inner: Driver

    @classmethod
    def of(cls, experiment: Experiment, share_with: Driver | None = None) -> "Averaged":
        raise TypeError("Averaged is made around another driver; use driver_of(experiment)")

    def at(self, generation: int) -> Driver:
        return self.inner.at(generation)

    def first_with_members(self) -> int | None:
        return self.inner.first_with_members()

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
        return self._beginning(self.inner.init())

    def start(self, weights: Float[Any, " param"]) -> State:
        return self._beginning(self.inner.start(weights))

    def like(self, generation: int) -> State:
        return self._beginning(self.inner.like(generation))

    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " loss"], State]:
        losses, inner = self.inner.step(state.inner, generation, evaluator)
        return losses, self._after(state, inner, generation)

    def replay(
        self,
        state: State,
        generation: int,
        losses: Float[np.ndarray, " loss"],
        parts_of: PartsOf | None = None,
    ) -> State:
        return self._after(state, self.inner.replay(state.inner, generation, losses, parts_of), generation)

    def centre(self, state: State) -> Float[Array, " param"]:
        return self.inner.centre(state.inner)

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        return self.inner.answers(state.inner) | {"the average of the last centres": np.asarray(state.average)}

    def cost(self) -> Cost:
        return self.inner.cost()

    def cost_of(self, generations: int) -> Cost:
        return self.inner.cost_of(generations)

    def describe(self) -> dict[str, str]:
        return self.inner.describe()

    def _beginning(self, inner: State) -> AveragedState:
        return AveragedState(inner, np.asarray(self.inner.centre(inner)))

    def _after(self, state: AveragedState, inner: State, generation: int) -> AveragedState:
        """The plain mean of all centres while there are few of them, then an exponential one: it needs no correction."""
        keep = self.experiment.answer.average
        assert keep is not None
        new = np.float32(max(1 - keep, 1 / (generation + 1)))
        centre = np.asarray(self.inner.centre(inner))
        return AveragedState(inner, (1 - new) * np.asarray(state.average) + new * centre)
