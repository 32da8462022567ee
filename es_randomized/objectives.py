"""Objectives: from the losses of one member on all instances and seeds to one number, lower is better.

Every objective first averages over seeds, mu_x = mean_r loss[x, r], because the adversary knows the algorithm and the
distribution of the seed but not the draw (arXiv:2408.10818, section 2). What differs is how the instances are combined.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from es_randomized.schedules import Rate, Schedule, Values
from es_randomized.settings import settings

SMALLEST = 1e-37  # float32: keeps log(0) finite, and its derivative too


class Objective(ABC):
    """Combines the expected losses of the instances."""

    @abstractmethod
    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        """The objective of per-instance expected losses `expected` >= 0."""

    def values(self, generations: int) -> Values | None:
        """The number of an objective that programs take as an argument, over a run; None where there is none."""
        return None

    def given(self, value: Float[Array, ""]) -> "Objective":
        """The objective of one generation for its number of `values`, known only inside a compiled program."""
        return self

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, ""]:
        """The objective of one member's losses >= 0."""
        return self.combine(jnp.mean(losses, axis=1))


@settings
class Expected(Objective):
    """The mean over instances: empirical risk minimisation, q = 1."""

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return jnp.mean(expected)


@settings
class QNorm(Objective):
    """(mean_x mu_x^q)^(1/q), equation 5 of the paper; between the mean (q = 1) and the maximum (q -> infinity).

    Computed as a log-sum-exp: in float32 the plain q = 100 of losses .01 and .02 underflows to 0.

    Attributes:
        q: at least 1; a number or a schedule {start, end, shape}: a small q finds good policies, a large one then
            raises their worst instances.
    """

    q: Rate = 3.0

    def __post_init__(self) -> None:
        for value in (self.q.start, self.q.end) if isinstance(self.q, Schedule) else (self.q,):
            if value < 1:
                raise ValueError(f"q must be at least 1 (the mean), but it is {value:g}")

    def values(self, generations: int) -> Values | None:
        return Values(self.q, generations)

    def given(self, value: Float[Array, ""]) -> "Objective":
        # Of a constant q a compiler takes the reciprocal and multiplies; said here, an argument in its place has its bits.
        return _QNormAt(value, None if isinstance(self.q, Schedule) else 1 / value)

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


@settings
class WorstCase(Objective):
    """max_x mu_x: the oblivious adversary's choice among the instances of the batch."""

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return jnp.max(expected)


@settings
class CVaR(Objective):
    """Conditional value at risk: the mean of the worst fraction `alpha` of the instances (0 < alpha <= 1).

    Where alpha times the number of instances is not whole, the last of them counts with the rest of the weight.
    """

    alpha: Annotated[float, Field(gt=0, le=1)] = 0.1

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        count = self.alpha * expected.size
        weights = jnp.clip(count - jnp.arange(float(expected.size)), 0.0, 1.0)
        return jnp.dot(weights, -jnp.sort(-expected)) / count


@settings
class LogSumExp(Objective):
    """(1/tau) log mean_x exp(tau mu_x); max - ln(n)/tau <= value <= max for n instances, tau > 0."""

    tau: Annotated[float, Field(gt=0)] = 10.0

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return (jax.nn.logsumexp(self.tau * expected) - jnp.log(float(expected.size))) / self.tau


OBJECTIVES: dict[str, type[Objective]] = {
    "expected": Expected,
    "q_norm": QNorm,
    "worst_case": WorstCase,
    "cvar": CVaR,
    "log_sum_exp": LogSumExp,
}


@dataclass(frozen=True)
class Halved:
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

    def given(self, value: Float[Array, ""]) -> "Halved":
        """See `Objective.given`."""
        return Halved(self.objective.given(value), self.by)

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, " view"]:
        """The objectives of one member's losses >= 0."""
        halves = jnp.split(losses, 2, axis=("instances", "seeds").index(self.by))
        return jnp.stack([self.objective(losses), *(self.objective(half) for half in halves)])
