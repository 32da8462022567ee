"""What a strategy is: a search distribution over flat parameters. Losses in, weights out; it knows no task."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Key

State = Any  # a pytree of arrays: all a generation needs of the past


class Draw(NamedTuple):
    """The members of one generation, or what regenerates them.

    Attributes:
        generation: its number, 0, 1, ...
        state: the strategy's state before the generation; with the number it determines everything else.
        sample: what `members` and `tell` read. It never travels: every process derives its own from the state.
    """

    generation: int
    state: State
    sample: Any


class Strategy(ABC):
    """A search distribution, bound to a population size, a number of parameters and a seed."""

    population: int
    parameters: int

    @abstractmethod
    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        """The state before generation 0, centred on `centre`."""

    @abstractmethod
    def draw(self, state: State, generation: int) -> Draw:
        """The members of `generation`; the same bits in every process of one device type."""

    @abstractmethod
    def members(self, sample: Any, ids: Int[Array, " chunk"]) -> Float[Array, "chunk param"]:
        """Weights of the members `ids`, any subset; traceable."""

    @abstractmethod
    def tell(self, draw: Draw, losses: Float[np.ndarray, " member"]) -> State:
        """The state after the generation, given one finite loss per member in id order."""

    @abstractmethod
    def centre(self, state: State) -> Float[Array, " param"]:
        """The weights this strategy would answer with now."""

    @abstractmethod
    def sample_shape(self) -> Any:
        """Shapes and types of `Draw.sample`, without computing it."""
