"""The mean of the worst instances."""

from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from es_randomized.objectives.objective import Objective
from es_randomized.settings import settings


@settings
class CVaR(Objective):
    """Conditional value at risk: the mean of the worst fraction `alpha` of the instances (0 < alpha <= 1).

    Where alpha times the number of instances is not whole, the last of them counts with the rest of the weight.
    """

    alpha: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        count = self.alpha * expected.size
        weights = jnp.clip(count - jnp.arange(float(expected.size)), 0.0, 1.0)
        return jnp.dot(weights, -jnp.sort(-expected)) / count
