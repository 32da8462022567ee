"""Values that change over a run: a learning rate, a step size."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float
from pydantic import Field

from es_randomized.compilation import jit
from es_randomized.settings import settings


@settings
class Schedule:
    """From `start` in the first generation of a run, or of a phase, to `end` in its last; both above 0."""

    start: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    end: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shape: Literal["linear", "cosine", "exponential"] = "cosine"


@settings
class Ramp:
    """Straight from `start` in the first generation to `end` after a share `until` of the run, and `end` from then on.

    Either may be 0.
    """

    start: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    end: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    until: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0


Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)] | Schedule


def build(rate: float | Schedule | Ramp, generations: int, first: int = 0) -> Callable[[Any], Any]:
    """The optax schedule of `rate` over so many generations from the first one on: generation in, value out."""
    if not isinstance(rate, Schedule | Ramp):
        return optax.constant_schedule(rate)
    if first:
        schedule = build(rate, generations)
        return lambda generation: schedule(generation - first)
    steps = max(1, generations - 1)
    if isinstance(rate, Ramp):
        return optax.linear_schedule(rate.start, rate.end, max(1, round(rate.until * steps)))
    if rate.shape == "linear":
        return optax.linear_schedule(rate.start, rate.end, steps)
    if rate.shape == "cosine":
        return optax.cosine_decay_schedule(rate.start, steps, alpha=rate.end / rate.start)
    return optax.exponential_decay(rate.start, steps, rate.end / rate.start)


class Values:
    """The values of a rate from a first generation on, which programs take as an argument: so runs share programs.

    Past the last generation its value holds. A program computes them, so that they have the bits of a schedule inside one.
    """

    def __init__(self, rate: float | Schedule | Ramp, generations: int, first: int = 0) -> None:
        self._first, changes = first, isinstance(rate, Schedule | Ramp)
        self._values = _computed(rate, generations) if changes else np.full(1, rate, np.float32)

    def __getitem__(self, generation: int) -> np.float32:
        return np.float32(self._values[min(generation - self._first, len(self._values) - 1)])


def _computed(rate: float | Schedule | Ramp, generations: int) -> Float[np.ndarray, " generation"]:
    schedule, numbers = build(rate, generations), np.arange(generations, dtype=np.float32)
    return np.asarray(jit(lambda each: jax.lax.map(lambda number: jnp.asarray(schedule(number)), each))(numbers))
