"""Objectives: from the losses of one member on all instances and seeds to one number, lower is better.

Objectives first average over seeds, mu_x = mean_r loss[x, r], because the adversary knows the algorithm and the
distribution of the seed but not the draw (arXiv:2408.10818, section 2). What differs is how the instances are combined;
an objective that looks at inputs and seeds as well weighs losses before the average.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.input_kinds import Draws, InputKinds
from es_randomized.schedules import Values


class Objective(ABC):
    """Combines the expected losses of the instances. Losses may have any sign and size.

    Attributes:
        takes_powers: needs losses >= 0. Of a task whose losses have another lower bound it gets them above that bound, see
            above.py; a task without a lower bound is refused.
        takes_kinds: looks at kinds of inputs and numbers of seeds, see `on`; a task that does not say them is refused.
    """

    takes_powers: ClassVar[bool] = False
    takes_kinds: ClassVar[bool] = False

    @abstractmethod
    def combine(self, expected: Float[Array, " instance"]) -> Float[Array, ""]:
        """The objective of per-instance expected losses."""

    def values(self, generations: int, first: int = 0) -> Values | None:
        """The number of an objective that programs take as an argument, from a first generation on; None where there is none."""
        return None

    def given(self, value: Float[Array, ""]) -> "Objective":
        """The objective of one generation for its number of `values`, known only inside a compiled program."""
        return self

    def without_arguments(self) -> "Objective":
        """This objective, one and the same value in place of the number of `values`: equal ones share compiled programs."""
        return self

    def check(self, kinds: InputKinds) -> None:
        """Refuse a task by its kinds of inputs with a ConfigError; asked where `takes_kinds`, before anything else."""

    def on(self, draws: Callable[[], Draws]) -> "Objective":
        """The objective on what one generation drew, known only inside a compiled program: once for all its members."""
        return self

    def expected(self, losses: Float[Array, "instance seed"]) -> Float[Array, " instance"]:
        """The expected loss of every instance."""
        return jnp.mean(losses, axis=1)

    def __call__(self, losses: Float[Array, "instance seed"]) -> Float[Array, ""]:
        """The objective of one member's losses."""
        return self.combine(self.expected(losses))
