"""A driver of phases that keeps the ends of those after which training begins anew: each may be the answer."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.drivers.around import Around
from es_randomized.drivers.phased import Phased
from es_randomized.strategies.strategy import State


class RestartedState(NamedTuple):
    """The state of the driver inside, and the centres at those ends that it has come to; zeros for the others."""

    inner: Any
    ends: Float[Any, "end param"]


@dataclass(frozen=True)
class Restarted(Around):
    """The same training as by `inner`, and a candidate for the answer for every end.

    Attributes:
        anew: the first generation of every phase that begins anew, by its number.
    """

    anew: dict[int, int]

    def answers(self, state: State) -> dict[str, Float[Any, " param"]]:
        """The centre, which at an end is that end, and the ends before the phase that this state is of."""
        ends = zip(self.anew, state.ends, strict=True)
        done = {f"the end of phase {number - 1}": end for number, end in ends if number <= state.inner["phase"]}
        return super().answers(state) | done

    def begin(self, inner: State) -> RestartedState:
        return RestartedState(inner, np.zeros((len(self.anew), self.parameters), np.float32))

    def after(self, state: RestartedState, inner: State, generation: int) -> RestartedState:
        ends = np.array(state.ends)
        ends[[first == generation + 1 for first in self.anew.values()]] = self.inner.centre(inner)
        return RestartedState(inner, ends)


def with_ends(driver: Phased) -> Phased | Restarted:
    """The driver itself where no phase but the first begins anew."""
    return Restarted(driver.experiment, driver, driver.anew) if driver.anew else driver
