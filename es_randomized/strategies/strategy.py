"""What a strategy is: a search distribution over flat parameters. Losses in, weights out; it knows no task."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

State = Any  # a pytree of arrays: all a generation needs of the past


class Draw(NamedTuple):
    """The members of one generation, or what regenerates them.

    Attributes:
        generation: its number, 0, 1, ...
        state: the strategy's state before the generation; with the number it determines everything else.
        sample: what `members` and `tell` read, a pytree of arrays.
    """

    generation: int
    state: State
    sample: Any


# Computes all parts of an update for shaped losses, here or elsewhere: one array [sum, column] per part, in order.
PartsOf = Callable[[Draw, Float[np.ndarray, " member"]], list[np.ndarray]]


class Strategy(ABC):
    """A search distribution, bound to a population size, a number of parameters and a seed.

    Attributes:
        population: members per generation.
        signs: members made of one row of noise: 2 where they come as antithetic pairs, else 1. Row r makes the members
            r, r + rows.
        parts: pieces of an update that can be computed apart from each other; 0 where it is made in one place.
        part: jitted (sample, shaped losses, index) -> one part of the update, where there are parts.
        part_shape: of its result, [sum, column].
        update_entries: entries of noise an update reads, weighted by what drawing them costs.
    """

    population: int
    parameters: int
    signs: int
    parts: int = 0
    part: Any = None
    part_shape: tuple[int, int] = (0, 0)
    update_entries: float = 0.0

    @property
    def rows(self) -> int:
        """Rows of noise in a population."""
        return self.population // self.signs

    @property
    def update_bytes(self) -> int:
        """Bytes of all parts of an update."""
        return 4 * self.parts * self.part_shape[0] * self.part_shape[1]

    @abstractmethod
    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        """The state before generation 0, centred on `centre`."""

    @abstractmethod
    def draw(self, state: State, generation: int) -> Draw:
        """The members of `generation`; the same bits in every process of one device type."""

    @abstractmethod
    def message(self, draw: Draw) -> list[np.ndarray]:
        """What another process needs to make the same sample."""

    @abstractmethod
    def receive(self, message: list[np.ndarray], generation: int) -> Any:
        """The sample of a draw, from its message."""

    @abstractmethod
    def members(self, sample: Any, rows: Int[Array, " row"]) -> Float[Array, "row sign param"]:
        """Weights of the members of some rows of noise; traceable."""

    def everyone(self, sample: Any) -> Float[Array, "member param"]:
        """Weights of the whole population, in id order: for small ones."""
        members = self.members(sample, jnp.arange(self.rows))
        return jnp.swapaxes(members, 0, 1).reshape(self.population, self.parameters)

    @abstractmethod
    def tell(self, draw: Draw, losses: Float[np.ndarray, " member"], parts_of: PartsOf | None = None) -> State:
        """The state after the generation, given one finite loss per member in id order.

        Args:
            parts_of: where to compute the parts of the update; here by default.
        """

    @abstractmethod
    def centre(self, state: State) -> Float[Array, " param"]:
        """The weights this strategy would answer with now."""

    @abstractmethod
    def sample_shape(self) -> Any:
        """Shapes and types of `Draw.sample`, without computing it."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Where noise and updates are computed and what they cost, for people."""
