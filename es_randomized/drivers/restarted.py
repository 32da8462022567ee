"""A driver of phases that keeps ends that training leaves: each may be the answer, and a later phase may begin there."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.drivers.around import Around
from es_randomized.drivers.driver import Evaluator
from es_randomized.drivers.phased import Phased
from es_randomized.strategies.strategy import PartsOf, State


class RestartedState(NamedTuple):
    """The state of the driver inside, and the centres at those ends that it has come to; zeros for the others."""

    inner: Any
    ends: Float[Any, "end param"]


@dataclass(frozen=True)
class Restarted(Around):
    """The same training as by `inner`, and a candidate for the answer for every end that is kept, see `Phased.ends`."""

    inner: Phased

    def own_state(self, state: State, generation: int) -> State:
        return self.inner.own_state(self._placed(state, generation).inner, generation)

    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " loss"], State]:
        return super().step(self._placed(state, generation), generation, evaluator)

    def replay(
        self, state: State, generation: int, losses: Float[np.ndarray, " loss"], parts_of: PartsOf | None = None
    ) -> State:
        return super().replay(self._placed(state, generation), generation, losses, parts_of)

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        """The centre, which at an end is that end, and the ends before the phase that this state is of."""
        ends = zip(self.inner.ends, state.ends, strict=True)
        done = {f"the end of phase {number}": end for number, end in ends if number < state.inner["phase"]}
        return super().answers(state) | done

    def begin(self, inner: State) -> RestartedState:
        return RestartedState(inner, np.zeros((len(self.inner.ends), self.parameters), np.float32))

    def after(self, state: RestartedState, inner: State, generation: int) -> RestartedState:
        ends = np.array(state.ends)
        ends[[last == generation for last in self.inner.ends.values()]] = self.inner.centre(inner)
        return RestartedState(inner, ends)

    def _placed(self, state: RestartedState, generation: int) -> RestartedState:
        """The state before a generation, which is at an earlier end where its phase begins from there."""
        number = self.experiment.phase_at(generation)
        after = self.experiment.phases[number].after
        if after is None or int(state.inner["phase"]) == number:
            return state
        end = state.ends[list(self.inner.ends).index(after)]
        return state._replace(inner=self.inner.at_end_of(after, end))


def with_ends(driver: Phased) -> Phased | Restarted:
    """The driver itself where every phase goes on from the one before."""
    return Restarted(driver.experiment, driver) if driver.ends else driver
