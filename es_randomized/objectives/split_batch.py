"""An objective on a whole batch and on each of its halves: how much a batch's draw moves it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.objectives.objective import Objective
from es_randomized.schedules import Values


@dataclass(frozen=True)
class SplitBatch:
    """An objective on the whole batch, on its first half and on its second half: three views, in this order.

    With J' and J'' on halves that share no draw, (J' - J'')^2 / 4 is on average the variance of their mean, which is the
    objective on the whole batch where that is a mean, and close to it elsewhere.

    Attributes:
        by: what the halves are halves of.
    """

    objective: Objective
    by: Literal["instances", "seeds"]

    views: ClassVar[int] = 3

    def values(self, generations: int) -> Values | None:
        """See `Objective.values`."""
        return self.objective.values(generations)

    def given(self, value: Float[Array, ""]) -> "SplitBatch":
        """See `Objective.given`."""
        return SplitBatch(self.objective.given(value), self.by)

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, " view"]:
        """The objectives of one member's losses."""
        halves = jnp.split(losses, 2, axis=("instances", "seeds").index(self.by))
        return jnp.stack([self.objective(losses), *(self.objective(half) for half in halves)])
