"""What a treasure hunter sees: its seed first, then after every step where it is, the reward and the time."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

EMPTY, FOUND = -0.1, 1.0  # rewards as the paper's tokens show them
FREQUENCIES = 4  # of the sinusoids that tell the time


@dataclass(frozen=True)
class HuntTokens:
    """The tokens of one grid.

    Attributes:
        rows, columns: of the grid.
        noise_width: numbers of a seed.
        noise_on_all: whether later tokens show the seed too.
        times: steps of all episodes together.
    """

    rows: int
    columns: int
    noise_width: int
    noise_on_all: bool
    times: int

    @property
    def features(self) -> int:
        """Length of a token."""
        return self.noise_width + self.rows + self.columns + 1 + 2 * FREQUENCIES

    def first(self, seeds: Float[Array, "noise case"]) -> Float[Array, "feature case"]:
        """Before the first step: the seed."""
        cases = seeds.shape[-1]
        nowhere = jnp.zeros((self.rows + self.columns + 1, cases))
        clock = jnp.repeat(jnp.asarray(self._clock)[:, :1], cases, axis=1)
        return jnp.concatenate([seeds, nowhere, clock])

    def shown(self, seeds: Float[Array, "noise case"]) -> Float[Array, "noise case"]:
        """What later tokens show of the seed."""
        return seeds if self.noise_on_all else jnp.zeros_like(seeds)

    def later(
        self,
        cell: Int[Array, " case"],
        reward: Float[Array, " case"],
        time: Int[Array, " case"],
        shown: Float[Array, "noise case"],
    ) -> Float[Array, "feature case"]:
        """After a step; `time` counts the steps of all episodes so far."""
        row = jax.nn.one_hot(cell // self.columns, self.rows, axis=0)
        column = jax.nn.one_hot(cell % self.columns, self.columns, axis=0)
        return jnp.concatenate([shown, row, column, reward[None], jnp.asarray(self._clock)[:, time]])

    @cached_property
    def _clock(self) -> Float[np.ndarray, "sinusoid time"]:
        """Sines and cosines of the time, whose periods double from 4 steps on."""
        time = np.arange(self.times + 1)
        angle = 2 * np.pi * time / 2.0 ** np.arange(2, 2 + FREQUENCIES)[:, None]
        return np.concatenate([np.sin(angle), np.cos(angle)]).astype(np.float32)
