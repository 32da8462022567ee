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
    """What a generation needs of the past.

    Attributes:
        inner: the state of the driver inside.
        ends: the centres at those ends that it has come to; zeros for the others.
        losses: of every end, the mean loss of members in the last tenth of its phase, as far as it has come.
    """

    inner: Any
    ends: Float[Any, "end param"]
    losses: Float[Any, " end"]


@dataclass(frozen=True)
class Restarted(Around):
    """The same training as by `inner`, and a candidate for the answer for every end that is kept, see `Phased.ends`."""

    inner: Phased

    def own_state(self, state: State, generation: int) -> State:
        return self.inner.own_state(self._placed(state, generation).inner, generation)

    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " loss"], State]:
        losses, after = super().step(self._placed(state, generation), generation, evaluator)
        return losses, self._scored(after, generation, losses)

    def replay(
        self, state: State, generation: int, losses: Float[np.ndarray, " loss"], parts_of: PartsOf | None = None
    ) -> State:
        after = super().replay(self._placed(state, generation), generation, losses, parts_of)
        return self._scored(after, generation, losses)

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        """The centre, which at an end is that end, and the ends before the phase that this state is of."""
        ends = zip(self.inner.ends, state.ends, strict=True)
        done = {f"the end of phase {number}": end for number, end in ends if number < state.inner["phase"]}
        return super().answers(state) | done

    def begin(self, inner: State) -> RestartedState:
        count = len(self.inner.ends)
        return RestartedState(inner, np.zeros((count, self.parameters), np.float32), np.zeros(count, np.float32))

    def after(self, state: RestartedState, inner: State, generation: int) -> RestartedState:
        ends = np.array(state.ends)
        ends[[late[-1] == generation for late in self.inner.ends.values()]] = self.inner.centre(inner)
        return state._replace(inner=inner, ends=ends)

    def _placed(self, state: RestartedState, generation: int) -> RestartedState:
        """The state before a generation, which is at an earlier end where its phase begins from there."""
        number = self.experiment.phase_at(generation)
        back = self.experiment.phases[number].goes_back_to
        if not back or int(state.inner["phase"]) == number:
            return state
        kept = list(self.inner.ends)
        best = min(back, key=lambda end: np.nan_to_num(state.losses[kept.index(end)], nan=np.inf))
        return state._replace(inner=self.inner.at_end_of(best, state.ends[kept.index(best)]))

    def _scored(self, state: RestartedState, generation: int, losses: Float[np.ndarray, " loss"]) -> RestartedState:
        """The state after a generation, with what its losses add to the mean of an end."""
        late = [generation in late for late in self.inner.ends.values()]
        if not any(late):
            return state
        count = len(list(self.inner.ends.values())[late.index(True)])
        added = np.mean(self.of_members(losses, generation), dtype=np.float32) / np.float32(count)
        return state._replace(losses=np.where(late, state.losses + added, state.losses).astype(np.float32))


def with_ends(driver: Phased) -> Phased | Restarted:
    """The driver itself where every phase goes on from the one before."""
    return Restarted(driver.experiment, driver) if driver.ends else driver
