"""An objective on a whole batch and on each of its halves: how much a batch's draw moves it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.input_kinds import Draws, Halved
from es_randomized.objectives.objective import Objective
from es_randomized.schedules import Values


@dataclass(frozen=True)
class SplitBatch:
    """An objective on the whole batch, on its first half and on its second half: three views, in this order.

    With J' and J'' on halves that share no draw, (J' - J'')^2 / 4 is on average the variance of their mean, which is the
    objective on the whole batch where that is a mean, and close to it elsewhere.

    Attributes:
        by: what the halves are halves of.
        halves: the objective on either half, where it looks at what is in it.
    """

    objective: Objective
    by: Halved
    halves: tuple[Objective, Objective] | None = None

    views: ClassVar[int] = 3

    def values(self, generations: int, first: int = 0) -> Values | None:
        """See `Objective.values`."""
        return self.objective.values(generations, first)

    def given(self, value: Float[Array, ""]) -> "SplitBatch":
        """See `Objective.given`."""
        return SplitBatch(self.objective.given(value), self.by)

    def on(self, draws: Callable[[], Draws]) -> "SplitBatch":
        """See `Objective.on`."""

        def half(which: int) -> Objective:
            return self.objective.on(lambda: draws().half(self.by, which))

        return replace(self, objective=self.objective.on(draws), halves=(half(0), half(1)))

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, " view"]:
        """The objectives of one member's losses."""
        halves = jnp.split(losses, 2, axis=("instances", "seeds").index(self.by))
        of_halves = self.halves or (self.objective, self.objective)
        return jnp.stack([self.objective(losses), *(of(half) for of, half in zip(of_halves, halves, strict=True))])
