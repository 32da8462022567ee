"""Values that change over a run: a learning rate, a step size."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import optax
from pydantic import Field

from es_randomized.settings import settings


@settings
class Schedule:
    """From `start` in the first generation to `end` in the last, both above 0."""

    start: Annotated[float, Field(gt=0)]
    end: Annotated[float, Field(gt=0)]
    shape: Literal["linear", "cosine", "exponential"] = "cosine"


Rate = Annotated[float, Field(gt=0)] | Schedule


def build(rate: float | Schedule, generations: int) -> Callable[[Any], Any]:
    """The optax schedule of `rate` over a run of `generations`: generation in, value out."""
    if not isinstance(rate, Schedule):
        return optax.constant_schedule(rate)
    steps = max(1, generations - 1)
    if rate.shape == "linear":
        return optax.linear_schedule(rate.start, rate.end, steps)
    if rate.shape == "cosine":
        return optax.cosine_decay_schedule(rate.start, steps, alpha=rate.end / rate.start)
    return optax.exponential_decay(rate.start, steps, rate.end / rate.start)
