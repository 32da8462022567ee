"""Every seed is told which kinds of inputs it should be good at: a direction to use the seed, where others have none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from es_randomized.errors import ConfigError
from es_randomized.input_kinds import Draws, InputKinds
from es_randomized.objectives.objective import Objective
from es_randomized.settings import settings

Directions = Literal["features", "random"]


@settings
class Specialists(Objective):
    """The mean over seeds of a weighted mean over instances, whose weights depend on the kind of an instance and the seed.

    A policy that ignores its seed is a saddle of every objective of expected losses: using the seed a little changes none
    of them to first order. Here it does. For the first part of a training; then another objective mends what an arbitrary
    division left uneven.

    For every seed the `keep` kinds with the largest scores weigh 1, all others `rest`. The score of a kind is the scalar
    product of its direction and the seed's numbers. Directions depend on the run's seed alone and never change.

    Attributes:
        keep: kinds that a seed should be good at; less than the task has.
        rest: weight of an instance of another kind, from 0 to 1.
        directions: of kinds: their `features`, where the task has some and a seed as many numbers, so that what belongs
            together goes together; or `random` ones, which divide seeds in many more ways.
    """

    keep: Annotated[int, Field(ge=1)]
    rest: Annotated[float, Field(ge=0, le=1)] = 0.0
    directions: Directions = "features"

    takes_kinds: ClassVar[bool] = True

    def check(self, kinds: InputKinds) -> None:
        if self.keep >= kinds.count:
            raise ConfigError(
                f"objective.keep is {self.keep}, but this task has {kinds.count} kinds of inputs, and a seed should be a "
                f"specialist of some of them; use 1 to {kinds.count - 1}"
            )

    def on(self, draws: Callable[[], Draws]) -> Objective:
        return _Weighed(self.weights(draws()))

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        raise ValueError("specialists weigh every loss by kind and seed; take the objective of a generation with `on`")

    def weights(self, drawn: Draws) -> Float[Array, "instance seed"]:
        """What every loss counts; those of a seed add up to 1. With rest = 0 and none of its kinds here, all count alike."""
        places = jnp.argsort(jnp.argsort(-self._scores(drawn), axis=0), axis=0)
        weights = jnp.where(places < self.keep, 1.0, self.rest)[drawn.instances]
        total = jnp.sum(weights, axis=0, keepdims=True)
        return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1.0), 1 / len(weights))

    def _scores(self, drawn: Draws) -> Float[Array, "kind seed"]:
        features, numbers = drawn.kinds.features, drawn.numbers
        if self.directions == "features" and features is not None and len(features) <= len(numbers):
            return jnp.asarray(features.T) @ numbers[: len(features)]
        vectors = jax.random.normal(drawn.key, (drawn.kinds.count, len(numbers)))
        return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True) @ numbers  # a short one would hardly ever win


@dataclass(frozen=True)
class _Weighed(Objective):
    """A weighted mean of all losses; the weights of a seed add up to 1."""

    weights: Float[Array, "instance seed"]

    def expected(self, losses: Float[Array, "instance seed"]) -> Float[Array, " instance"]:
        return jnp.mean(len(losses) * self.weights.astype(losses.dtype) * losses, axis=1)

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return jnp.mean(expected)
