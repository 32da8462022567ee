"""A driver that also averages its centres (Polyak and Juditsky 1992): the noise of the last steps is not in their mean.

The average is part of the state, not recomputed by replay: snapshots then give it back at once, and of gradient descent a replay
costs as much as training. It is a function of the centres alone, added up in one process, so its bits are as exact as theirs.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.drivers.around import Around
from es_randomized.strategies.strategy import State


class AveragedState(NamedTuple):
    """The state of the driver inside, and the average of its centres up to there."""

    inner: Any
    average: Float[Any, " param"]


@dataclass(frozen=True)
class Averaged(Around):
    """The same training as by the driver `inner`, and one more candidate for the answer."""

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        return super().answers(state) | {"the average of the last centres": np.asarray(state.average)}

    def begin(self, inner: State) -> AveragedState:
        return AveragedState(inner, np.asarray(self.inner.centre(inner)))

    def after(self, state: AveragedState, inner: State, generation: int) -> AveragedState:
        """The plain mean of all centres while there are few of them, then an exponential one: it needs no correction."""
        keep, count = self.experiment.answer.average, generation + 1 - self.anew_since(generation)
        assert keep is not None
        new = np.float32(max(1 - keep, 1 / count))
        centre = np.asarray(self.inner.centre(inner))
        return AveragedState(inner, (1 - new) * np.asarray(state.average) + new * centre)
