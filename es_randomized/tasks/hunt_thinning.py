"""Hunt again for only some treasures of every seed, and still estimate the loss of all of them without bias.

A later episode takes at least as many steps as the treasure is away. What it takes beyond them counts treasures/hunters
times where it is played and not at all elsewhere, and every treasure is played as often on average.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Shaped


class HuntCases(NamedTuple):
    """What is hunted.

    Attributes:
        treasures: their cells.
        seeds: standard normal numbers.
        chosen: which of the treasures are hunted again, by number; None: all of them.
    """

    treasures: Int[Array, "treasure case"]
    seeds: Float[Array, "noise case"]
    chosen: Int[Array, "hunter case"] | None = None


def choose(key: Key[Array, ""], treasures: int, hunters: int, cases: int) -> Int[Array, "hunter case"]:
    """Different treasures for every case: each is as likely as any other, and all come equally often, give or take one."""
    places = jnp.arange(hunters)[:, None] + hunters * jnp.arange(cases)[None]
    return jax.random.permutation(key, treasures)[places % treasures]


@dataclass(frozen=True)
class Choice:
    """The treasures that are hunted again, one hunter each, in the order [hunter, case] made flat."""

    cases: HuntCases

    @property
    def some(self) -> bool:
        """Whether there are treasures that nobody hunts."""
        return self.cases.chosen is not None

    @property
    def weight(self) -> float:
        """How many treasures a hunter stands for."""
        chosen, treasures = self.cases.chosen, self.cases.treasures
        return 1.0 if chosen is None else treasures.shape[0] / chosen.shape[0]

    def of(self, everything: Shaped[Array, "treasure case"]) -> Shaped[Array, " hunter"]:
        """What belongs to the hunters of something that all treasures have."""
        chosen = self.cases.chosen
        return (everything if chosen is None else jnp.take_along_axis(everything, chosen, axis=0)).reshape(-1)

    def spread(self, hunters: Shaped[Array, "*step hunter"]) -> Shaped[Array, "*step treasure case"]:
        """The same for all treasures, 0 where nobody hunts."""
        chosen, shape = self.cases.chosen, (*hunters.shape[:-1], *self.cases.treasures.shape)
        if chosen is None:
            return hunters.reshape(shape)
        values = hunters.reshape(*hunters.shape[:-1], *chosen.shape)
        return jnp.zeros(shape, hunters.dtype).at[..., chosen, jnp.arange(shape[-1])[None]].set(values)
