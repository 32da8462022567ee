"""A smooth maximum over instances."""

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from es_randomized.objectives.objective import Objective
from es_randomized.settings import settings


@settings
class LogSumExp(Objective):
    """(1/tau) log mean_x exp(tau mu_x); max - ln(n)/tau <= value <= max for n instances, tau > 0."""

    tau: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        # A compiler may compute `expected` twice and differ in the last bit, which is 1e23 of a loss of 1e30. So say again
        # what is true of exact numbers: no exponent is above 0, and the largest one is 0.
        largest = jax.lax.stop_gradient(jnp.max(expected))
        exponents = self.tau * (expected - largest)
        mean = jnp.mean(jnp.exp(jnp.where(exponents > 0, 0.0, exponents)))
        least = 1 / expected.size  # `where`, not `maximum`: that halves the gradient where both are equal
        return largest + jnp.log(jnp.where(mean < least, least, mean)) / self.tau
