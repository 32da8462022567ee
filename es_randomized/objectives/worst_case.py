"""The maximum over instances."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.objectives.objective import Objective
from es_randomized.settings import settings


@settings
class WorstCase(Objective):
    """max_x mu_x: the oblivious adversary's choice among the instances of the batch."""

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        return jnp.max(expected)
