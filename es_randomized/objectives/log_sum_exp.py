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

    tau: Annotated[float, Field(gt=0)] = 10.0

    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        # The largest is taken away before anything is multiplied: of losses of 1e30, a product's rounding alone overflows exp.
        largest = jax.lax.stop_gradient(jnp.max(expected))
        powers = self.tau * (expected - largest)
        return largest + (jax.nn.logsumexp(powers) - jnp.log(float(expected.size))) / self.tau
