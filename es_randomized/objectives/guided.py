"""A q-norm with specialists beside it: they lead away from the saddle, and it never loses sight of the worst instance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from jaxtyping import Array, Float
from pydantic import Field

from es_randomized.input_kinds import Draws, InputKinds
from es_randomized.objectives.objective import Objective
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.specialists import Directions, Specialists
from es_randomized.settings import settings


@settings
class Guided(QNorm):
    """(1 - share) times the q-norm of the expected losses, and `share` times the mean loss of specialists.

    For the first part of a training, like `specialists`, where seeds that are good at their own kinds alone would lose too
    much on all others.

    Attributes:
        q: of the q-norm, see there.
        keep, directions: of the specialists, see there; a seed's other kinds do not count among them.
        share: of the specialists, from 0, the q-norm alone, to 1.
    """

    keep: Annotated[int, Field(ge=1)]
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    directions: Directions = "features"

    takes_kinds: ClassVar[bool] = True

    @property
    def specialists(self) -> Specialists:
        """Those of its own."""
        return Specialists(keep=self.keep, directions=self.directions)

    def check(self, kinds: InputKinds) -> None:
        self.specialists.check(kinds)

    def given(self, value: Float[Array, ""]) -> Objective:
        return _Guided(super().given(value), self.specialists, self.share)

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        raise ValueError("specialists weigh every loss by kind and seed; take the objective of a generation with `on`")


@dataclass(frozen=True)
class _Guided(Objective):
    """Both, of one generation; `on` what it drew, specialists are a weighted mean of all losses."""

    q_norm: Objective
    specialists: Objective
    share: float

    takes_kinds: ClassVar[bool] = True

    def on(self, draws: Callable[[], Draws]) -> "_Guided":
        return _Guided(self.q_norm, self.specialists.on(draws), self.share)

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, ""]:
        return (1 - self.share) * self.q_norm(losses) + self.share * self.specialists(losses)

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        raise ValueError("specialists weigh every loss by kind and seed; there is nothing to combine without them")
