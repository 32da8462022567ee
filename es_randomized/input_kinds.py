"""Kinds of inputs: what objectives may know of the inputs and seeds whose losses they see.

A task says it once for all objectives (`Task.kinds`), and neither imports the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

Halved = Literal["instances", "seeds"]


@dataclass(frozen=True)
class InputKinds:
    """The kinds of inputs of a task.

    Attributes:
        count: how many kinds there are.
        of: bundles -> the kind of every instance, 0 to count - 1, bundle by bundle; traceable.
        numbers: seeds -> the numbers of every seed, [number, seed], with mean 0 and about equal sizes; traceable.
        features: of every kind, where kinds have a geometry: kinds that are good at the same seeds have alike features.
    """

    count: int
    of: Callable[[Any], Int[Array, " instance"]]
    numbers: Callable[[Any], Float[Array, "number seed"]]
    features: Float[np.ndarray, "feature kind"] | None = None


@dataclass(frozen=True)
class Draws:
    """What a generation drew, as objectives see it.

    Attributes:
        kinds: of inputs, as the task has them.
        instances: the kind of every instance.
        numbers: of every seed.
        key: for what an objective draws once and for all: the same in every generation of a run.
    """

    kinds: InputKinds
    instances: Int[Array, " instance"]
    numbers: Float[Array, "number seed"]
    key: Key[Array, ""]

    def half(self, by: Halved, which: int) -> "Draws":
        """The first (0) or second (1) half of the instances or of the seeds."""
        if by == "instances":
            return replace(self, instances=jnp.split(self.instances, 2)[which])
        return replace(self, numbers=jnp.split(self.numbers, 2, axis=1)[which])


def kind_by_place(places: int) -> Callable[[Any], Int[Array, " instance"]]:
    """`InputKinds.of` where an instance's place in its bundle of so many is its kind."""

    def of(bundles: Any) -> Int[Array, " instance"]:
        return jnp.tile(jnp.arange(places), jax.tree.leaves(bundles)[0].shape[-1])

    return of
