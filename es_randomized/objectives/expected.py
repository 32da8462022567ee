"""The mean over instances."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.objectives.objective import Objective
from es_randomized.settings import settings


@settings
class Expected(Objective):
    """The mean over instances: empirical risk minimisation, q = 1."""

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return jnp.mean(expected)
