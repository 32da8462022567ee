"""Networks of other libraries as models: a module of Flax (linen) or Equinox that maps the tokens of one case to outputs.

A model of yours derives from `FlaxModel` or `EquinoxModel` and says how its module is made. Neither library is imported here.
Cases are run side by side, but not as this package's kernels lay them out: such models are some times slower.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from es_randomized.models.model import Model
from es_randomized.perturbed import Perturbed
from es_randomized.policy import Active, Interface, Memory, Policy, Slot, Weights

Module = Any  # of a library that is not imported


class Bridged(Model):
    """A network that maps all tokens of one case, `[node, feature]`, to outputs `[node, output]`.

    Which nodes see which is up to the network; it must follow `interface.connectivity`. A task that gives tokens one by one
    gives it all tokens so far, followed by zeros, again at every step: an output may depend on its own token and on earlier ones
    alone. Low-rank members have matrices of their own, as these libraries know no others.
    """

    @abstractmethod
    def apply(
        self, weights: Weights, interface: Interface, tokens: Float[Array, "node feature"]
    ) -> Float[Array, "node output"]:
        """The outputs of one case."""

    def policy(self, weights: Weights, interface: Interface) -> Policy:
        is_thin = lambda leaf: isinstance(leaf, Perturbed)  # noqa: E731
        dense = jax.tree.map(lambda leaf: leaf.dense() if is_thin(leaf) else leaf, weights, is_leaf=is_thin)
        return BridgedPolicy(lambda tokens: self.apply(dense, interface, tokens), interface)


class FlaxModel(Bridged):
    """A module of flax.linen. Its variables are the weights, so it must have parameters only."""

    @abstractmethod
    def module(self, interface: Interface) -> Module:
        """The module: `init(key, tokens)` and `apply(variables, tokens)`."""

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        return self.module(interface).init(key, jnp.zeros((interface.nodes, interface.features)))

    def apply(
        self, weights: Weights, interface: Interface, tokens: Float[Array, "node feature"]
    ) -> Float[Array, "node output"]:
        outputs: Array = self.module(interface).apply(weights, tokens)
        return outputs


class EquinoxModel(Bridged):
    """A module of Equinox, or any pytree that can be called. Its arrays of floats are the weights."""

    @abstractmethod
    def module(self, key: Key[Array, ""], interface: Interface) -> Module:
        """A fresh module, which takes tokens."""

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        return [leaf for leaf in jax.tree.leaves(self.module(key, interface)) if _is_weight(leaf)]

    def apply(
        self, weights: Weights, interface: Interface, tokens: Float[Array, "node feature"]
    ) -> Float[Array, "node output"]:
        leaves, structure = jax.tree.flatten(self.module(jax.random.key(0), interface))
        given = iter(weights)
        module = jax.tree.unflatten(structure, [next(given) if _is_weight(leaf) else leaf for leaf in leaves])
        outputs: Array = module(tokens)
        return outputs


class TokensSoFar(NamedTuple):
    """The memory of a network that is given everything again: its tokens, and how many of them count."""

    tokens: Float[Array, "slot feature case"]
    so_far: Int[Array, " case"]


@dataclass(frozen=True)
class BridgedPolicy(Policy):
    """A network with its weights.

    Attributes:
        outputs_of: the outputs of one case.
    """

    outputs_of: Callable[[Float[Array, "node feature"]], Float[Array, "node output"]]
    interface: Interface

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        return self._run(tokens)[:, self.interface.connectivity.silent :]

    def empty(self, cases: int) -> TokensSoFar:
        return TokensSoFar(
            jnp.zeros((self.interface.horizon, self.interface.features, cases)), jnp.zeros(cases, jnp.int32)
        )

    def step(
        self, memory: TokensSoFar, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], TokensSoFar]:
        here = jnp.arange(self.interface.horizon)[:, None] == memory.so_far[None]
        tokens = jnp.where(here[:, None], token[None], memory.tokens)
        outputs = self._run(jnp.swapaxes(tokens, 0, 1))
        output = jnp.sum(jnp.where(here[None], outputs, 0.0), axis=1)
        taking_part = jnp.broadcast_to(jnp.asarray(active), memory.so_far.shape)
        return output, TokensSoFar(tokens, memory.so_far + taking_part.astype(jnp.int32))

    def trace(self, memory: TokensSoFar) -> tuple[()]:
        return ()

    def branch(
        self, memory: TokensSoFar, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> TokensSoFar:
        """The parents' tokens, of which only the first `slots` count; what comes after an output's own token is not seen."""
        return TokensSoFar(memory.tokens[..., parents], slots.astype(jnp.int32))

    def _run(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output node case"]:
        return jax.vmap(lambda of_case: self.outputs_of(of_case.T).T, in_axes=-1, out_axes=-1)(tokens)


def _is_weight(leaf: object) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
