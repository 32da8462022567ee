"""What a recurrence is: a state of constant size, and what it does with one token after the other.

Arrays are `[feature, column]` as everywhere in models; inside of `step` their last axis is `case`, or they end in
`[reader, case]` where several readers look at one state, whose axis `reader` then has length 1.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.models.units import Units
from es_randomized.policy import Weights

State = Any  # a pytree of arrays that end in `case`
Given = Any  # what a token gives to the recurrence: a pytree of arrays that end in the axis of the tokens


class Recurrence(ABC):
    """A way to mix tokens in their order. Implementations are frozen settings.

    Its weights are the matrices and vectors it names and `output`, from what it returns to the width.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers it returns per token."""

    @abstractmethod
    def matrices(self, width: int) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes `[*stack, out, in]` of its matrices, which start with variance 1/in."""

    def vectors(self) -> Mapping[str, Float[Array, " entry"]]:
        """Its vectors as they start."""
        return {}

    @property
    def inner(self) -> frozenset[str]:
        """Names of the matrices that read no token, but what the recurrence itself has made."""
        return frozenset()

    def interchangeable(self, width: int) -> list[Units]:
        """Units of its own that may swap their places, along its leaves and `output`."""
        return []

    @abstractmethod
    def empty(self, cases: int) -> State:
        """The state before the first token."""

    @abstractmethod
    def given(self, weights: Weights, x: Float[Array, "width column"]) -> Given:
        """What depends on tokens alone, for all of them at once."""

    @abstractmethod
    def step(self, weights: Weights, state: State, given: Given) -> tuple[Float[Array, "returned *tokens"], State]:
        """What comes of one more token, and the state with it."""

    def finished(
        self, weights: Weights, y: Float[Array, "returned column"], given: Given
    ) -> Float[Array, "size column"]:
        """What it returns, of what came of every step: whatever needs no state, for all tokens at once."""
        return y

    def around(self, weights: Weights, given: Given, cases: int) -> Float[Array, "size column"]:
        """The same on a cycle, of both neighbours at once; only where the order of tokens does not matter (`ordered`)."""
        raise NotImplementedError

    @property
    def ordered(self) -> bool:
        """Whether the order of tokens matters."""
        return True


def along(
    recurrence: Recurrence, weights: Weights, given: Given, cases: int, stored: int, silent: int
) -> Float[Array, "size read"]:
    """What a recurrence returns along a sequence of `stored` nodes and to readers, the nodes after them.

    Every reader gets what it would get as the next token of the sequence; none changes the state.

    Args:
        silent: leading nodes whose result nobody reads; 0 or `stored`.
    """
    end = stored * cases
    own = jax.tree.map(lambda x: x[..., silent * cases :], given)
    sequence = jax.tree.map(lambda x: _by_node(x[..., :end], cases), given)

    def step(state: State, token: Given) -> tuple[State, Any]:
        y, state = recurrence.step(weights, state, token)
        return state, () if silent else y

    state, returned = jax.lax.scan(step, recurrence.empty(cases), sequence)
    parts = [] if silent else [_columns(returned)]
    columns = jax.tree.leaves(given)[0].shape[-1]
    if columns > end:
        readers = jax.tree.map(lambda x: x[..., end:].reshape(*x.shape[:-1], -1, cases), given)
        shared = jax.tree.map(lambda x: x[..., None, :], state)
        y, _ = recurrence.step(weights, shared, readers)
        parts.append(y.reshape(y.shape[0], -1))
    return recurrence.finished(weights, jnp.concatenate(parts, axis=1), own)


def _by_node(x: Float[Array, "*features column"], cases: int) -> Float[Array, "node *features case"]:
    return jnp.moveaxis(x.reshape(*x.shape[:-1], -1, cases), -2, 0)


def _columns(y: Float[Array, "node size case"]) -> Float[Array, "size column"]:
    return jnp.moveaxis(y, 0, 1).reshape(y.shape[1], -1)
