"""Values that change over a run: a learning rate, a step size."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import optax
from pydantic import Field

from es_randomized.settings import settings


@settings
class Schedule:
    """From `start` to `end` over the whole run, after a linear warm-up from 0.

    Attributes:
        start: value at the beginning (after the warm-up).
        end: value in the last generation.
        shape: how it gets there.
        warmup: generations of the warm-up.
    """

    start: Annotated[float, Field(gt=0)]
    end: Annotated[float, Field(gt=0)]
    shape: Literal["linear", "cosine", "exponential"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0


Rate = Annotated[float, Field(gt=0)] | Schedule


def build(rate: float | Schedule, generations: int) -> Callable[[Any], Any]:
    """The optax schedule of `rate` over a run of `generations`: generation in, value out."""
    if not isinstance(rate, Schedule):
        return optax.constant_schedule(rate)
    steps = max(1, generations - rate.warmup)
    if rate.shape == "linear":
        main = optax.linear_schedule(rate.start, rate.end, steps)
    elif rate.shape == "cosine":
        main = optax.cosine_decay_schedule(rate.start, steps, alpha=rate.end / rate.start)
    else:
        main = optax.exponential_decay(rate.start, steps, rate.end / rate.start)
    if not rate.warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, rate.start, rate.warmup), main], [rate.warmup])
