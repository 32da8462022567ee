"""The q-norm over instances (arXiv:2408.10818, equation 5)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.objectives.objective import Objective
from es_randomized.schedules import Rate, Schedule, Values
from es_randomized.settings import settings

SMALLEST = 1e-37  # float32: keeps log(0) finite, and its derivative too


@settings
class QNorm(Objective):
    """(mean_x mu_x^q)^(1/q), equation 5 of the paper; between the mean (q = 1) and the maximum (q -> infinity).

    Powers need losses mu >= 0; of losses with another lower bound, what is above the bound is taken (above.py).
    Computed as a log-sum-exp: in float32 the plain q = 100 of losses .01 and .02 underflows to 0.

    Attributes:
        q: at least 1; a number or a schedule {start, end, shape}: a small q finds good policies, a large one then
            raises their worst instances.
    """

    takes_powers: ClassVar[bool] = True

    q: Rate = 3.0

    def __post_init__(self) -> None:
        for value in (self.q.start, self.q.end) if isinstance(self.q, Schedule) else (self.q,):
            if value < 1:
                raise ValueError(f"q must be at least 1 (the mean), but it is {value:g}")

    def values(self, generations: int, first: int = 0) -> Values | None:
        return Values(self.q, generations, first)

    def given(self, value: Float[Array, ""]) -> "Objective":
        # Of a constant q a compiler takes the reciprocal and multiplies; said here, an argument in its place has its bits.
        return _QNormAt(value, None if isinstance(self.q, Schedule) else 1 / value)

    def without_arguments(self) -> "Objective":
        # All schedules share a program. A q that is a number has another one: it keeps the bits of a constant, see `given`.
        return replace(self, q=Schedule(start=1.0, end=1.0) if isinstance(self.q, Schedule) else 1.0)

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        if isinstance(self.q, Schedule):
            raise ValueError("a scheduled q has no value of its own; take the objective of one generation with `given`")
        return _q_norm(expected, self.q)


@dataclass(frozen=True)
class _QNormAt(Objective):
    """The q-norm of one generation, q known only inside a compiled program, and its reciprocal where that is used."""

    q: Float[Array, ""] | float
    reciprocal: Float[Array, ""] | None = None

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return _q_norm(expected, self.q, self.reciprocal)


def _q_norm(
    expected: Float[Array, " instance"], q: Float[Array, ""] | float, reciprocal: Float[Array, ""] | None = None
) -> Float[Array, ""]:
    logs = q * jnp.log(jnp.maximum(expected, SMALLEST))
    power = jax.nn.logsumexp(logs) - jnp.log(float(expected.size))
    return jnp.exp(power / q if reciprocal is None else power * reciprocal)
