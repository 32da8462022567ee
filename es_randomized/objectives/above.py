"""An objective that needs losses >= 0, on losses with any other lower bound."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Array, Float

from es_randomized.input_kinds import Draws
from es_randomized.objectives.objective import Objective
from es_randomized.schedules import Values


@dataclass(frozen=True)
class Above(Objective):
    """low + objective(losses - low), in the units of the losses.

    Attributes:
        low: no loss is lower; finite.
    """

    objective: Objective
    low: float

    def values(self, generations: int, first: int = 0) -> Values | None:
        return self.objective.values(generations, first)

    def given(self, value: Float[Array, ""]) -> "Above":
        return Above(self.objective.given(value), self.low)

    def on(self, draws: Callable[[], Draws]) -> "Above":
        return Above(self.objective.on(draws), self.low)

    def expected(self, losses: Float[Array, "instance seed"]) -> Float[Array, " instance"]:
        return self.objective.expected(losses)

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return self.low + self.objective.combine(expected - self.low)

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, ""]:
        if self.objective.takes_kinds:  # it looks at single losses, not only at what is expected
            return self.low + self.objective(losses - self.low)
        return super().__call__(losses)
