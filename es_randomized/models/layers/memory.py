"""What a causal attention layer remembers when tokens come one by one. Arrays end in the axis `case`.

Linear attention needs the sum of value·keyᵀ, the same size after any number of tokens. Softmax attention needs every key
and value, each written at its slot, and which slots count; with a window those of the last tokens. All offer the same four
functions; a `branch` makes the memory of children that share the first tokens of their parents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from es_randomized.models.layers.attention import multiply_sum
from es_randomized.models.layers.traces import gone_back, kept
from es_randomized.policy import Active, Slot


class LinearMemory(NamedTuple):
    """The sum over tokens of value·keyᵀ."""

    total: Float[Array, "head value key case"]

    @staticmethod
    def empty(heads: int, key: int, cases: int, horizon: int) -> "LinearMemory":
        """Before the first token; the horizon does not matter."""
        return LinearMemory(jnp.zeros((heads, key, key, cases)))

    def write(
        self, key: Float[Array, "head key case"], value: Float[Array, "head value case"], slot: Slot, active: Active
    ) -> "LinearMemory":
        """One more token; nothing for the cases that are not active."""
        present = jnp.broadcast_to(jnp.asarray(active), value.shape)
        return LinearMemory(self.total + jnp.where(present, value, 0.0)[:, :, None] * key[:, None])

    def read(self, query: Float[Array, "head key case"]) -> Float[Array, "head value case"]:
        """What a query gets."""
        return multiply_sum(self.total, query[:, None], axis=2)

    def trace(self) -> Float[Array, "case entry"]:
        """The sum itself: there is no way back to an earlier one."""
        return kept(self.total)

    def branch(
        self,
        traces: Float[Array, "slot case entry"],
        slots: Int[Array, " child"],
        parents: Int[Array, " child"],
    ) -> "LinearMemory":
        """The sum every child's parent had after `slots` tokens."""
        return LinearMemory(gone_back(traces, slots, parents, self.total.shape[:-1]))


class SoftmaxMemory(NamedTuple):
    """Keys and values of all slots, and which of them count."""

    keys: Float[Array, "head key slot case"]
    values: Float[Array, "head value slot case"]
    counts: Bool[Array, "slot case"]

    @staticmethod
    def empty(heads: int, key: int, cases: int, horizon: int) -> "SoftmaxMemory":
        """Before the first token, with room for `horizon`."""
        zeros = jnp.zeros((heads, key, horizon, cases))
        return SoftmaxMemory(zeros, zeros, jnp.zeros((horizon, cases), bool))

    def write(
        self, key: Float[Array, "head key case"], value: Float[Array, "head value case"], slot: Slot, active: Active
    ) -> "SoftmaxMemory":
        """One more token; it does not count for the cases that are not active."""
        present = jnp.broadcast_to(jnp.asarray(active), self.counts.shape[1:])
        return SoftmaxMemory(
            jax.lax.dynamic_update_index_in_dim(self.keys, key, slot, 2),
            jax.lax.dynamic_update_index_in_dim(self.values, value, slot, 2),
            jax.lax.dynamic_update_index_in_dim(self.counts, present, slot, 0),
        )

    def read(self, query: Float[Array, "head key case"]) -> Float[Array, "head value case"]:
        """What a query gets; at least one slot must count for every case, or it gets NaN."""
        scores = multiply_sum(self.keys, query[:, :, None], axis=1)
        weights = jax.nn.softmax(jnp.where(self.counts[None], scores, -jnp.inf), axis=1)
        return multiply_sum(self.values, weights[:, None], axis=2)

    def trace(self) -> tuple[()]:
        """Nothing: slots are never overwritten."""
        return ()

    def branch(self, traces: tuple[()], slots: Int[Array, " child"], parents: Int[Array, " child"]) -> "SoftmaxMemory":
        """The parents' slots, of which only the first `slots` count."""
        shared = jnp.arange(self.counts.shape[0])[:, None] < slots[None]
        return SoftmaxMemory(self.keys[..., parents], self.values[..., parents], self.counts[:, parents] & shared)


class WindowMemory(NamedTuple):
    """Keys and values of a case's last tokens, in the places of those that are forgotten, and how many there were."""

    keys: Float[Array, "head key place case"]
    values: Float[Array, "head value place case"]
    written: Int[Array, " case"]

    @staticmethod
    def empty(heads: int, key: int, cases: int, places: int) -> "WindowMemory":
        """Before the first token, with room for so many."""
        zeros = jnp.zeros((heads, key, places, cases))
        return WindowMemory(zeros, zeros, jnp.zeros(cases, jnp.int32))

    def write(
        self, key: Float[Array, "head key case"], value: Float[Array, "head value case"], slot: Slot, active: Active
    ) -> "WindowMemory":
        """One more token; nothing for the cases that are not active."""
        present = jnp.broadcast_to(jnp.asarray(active), self.written.shape)
        here = ((self._places == (self.written % self.keys.shape[2])[None]) & present[None])[None, None]
        return WindowMemory(
            jnp.where(here, key[:, :, None], self.keys),
            jnp.where(here, value[:, :, None], self.values),
            self.written + present.astype(jnp.int32),
        )

    def read(self, query: Float[Array, "head key case"]) -> Float[Array, "head value case"]:
        """What a query gets; every case must have a token, or it gets NaN."""
        scores = multiply_sum(self.keys, query[:, :, None], axis=1)
        counts = self._places < self.written[None]
        weights = jax.nn.softmax(jnp.where(counts[None], scores, -jnp.inf), axis=1)
        return multiply_sum(self.values, weights[:, None], axis=2)

    def trace(self) -> Any:
        """Everything: places are written again."""
        return jax.tree.map(kept, self)

    def branch(self, traces: Any, slots: Int[Array, " child"], parents: Int[Array, " child"]) -> "WindowMemory":
        """What every child's parent remembered after `slots` tokens."""
        return jax.tree.map(lambda state, rows: gone_back(rows, slots, parents, state.shape[:-1]), self, traces)

    @property
    def _places(self) -> Int[Array, "place 1"]:
        return jnp.arange(self.keys.shape[2])[:, None]


LayerMemory = LinearMemory | SoftmaxMemory | WindowMemory
MEMORIES: dict[str, type[LinearMemory] | type[SoftmaxMemory]] = {"linear": LinearMemory, "softmax": SoftmaxMemory}
