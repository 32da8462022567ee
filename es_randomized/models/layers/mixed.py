"""Policies whose weights depend on the seed: one of several, or a blend of several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from es_randomized.perturbed import Perturbed
from es_randomized.policy import Active, Memory, Policy, Slot, Weights


class MixedMemory(NamedTuple):
    """What is remembered of a case.

    Attributes:
        chances: z, from its first token on.
        inner: of the policies.
    """

    chances: Float[Array, "policy case"]
    inner: Memory


@dataclass(frozen=True)
class Seeded:
    """The network that makes z of the seed.

    Attributes:
        weights: up, up_bias, down, down_bias.
        features: of a token that are the seed.
    """

    weights: Weights
    features: range

    def chances(self, seeds: Float[Array, "noise case"], hard: bool) -> Float[Array, "policy case"]:
        """A softmax, or 1 for its largest entry and 0 for the others; the derivative is that of the softmax."""
        hidden = jax.nn.relu(self.weights["up"] @ seeds + self.weights["up_bias"][:, None])
        soft = jax.nn.softmax(self.weights["down"] @ hidden + self.weights["down_bias"][:, None], axis=0)
        if not hard:
            return soft
        chosen = jax.nn.one_hot(jnp.argmax(soft, axis=0), soft.shape[0], axis=0, dtype=soft.dtype)
        return chosen + (soft - jax.lax.stop_gradient(soft))

    def apart(self, tokens: Float[Array, "feature *node case"]) -> tuple[Array, Array]:
        """The seed of tokens, and tokens without it."""
        first, end = self.features.start, self.features.stop
        return tokens[first:end], jnp.concatenate([tokens[:first], tokens[end:]])

    def remembered(
        self, memory: MixedMemory, seeds: Float[Array, "noise case"], slot: Slot, active: Active, hard: bool
    ) -> Float[Array, "policy case"]:
        """z of cases that are given one more token: of their first one's seed."""
        fresh = self.chances(seeds, hard)
        first = jnp.broadcast_to(jnp.asarray(active) & (jnp.asarray(slot) == 0), fresh.shape)
        return jnp.where(first, fresh, memory.chances)


@dataclass(frozen=True)
class ChosenPolicy(Policy):
    """Several policies, all of them run on every case, of which its seed chooses one."""

    seeded: Seeded
    policies: list[Policy]

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        seeds, tokens = self.seeded.apart(tokens)
        chances = self.seeded.chances(seeds[:, 0], hard=True)
        return sum_of(chances[:, None, None], [policy(tokens) for policy in self.policies])

    def empty(self, cases: int) -> Memory:
        inner = [policy.empty(cases) for policy in self.policies]
        return MixedMemory(jnp.zeros((len(self.policies), cases)), inner)

    def step(
        self, memory: MixedMemory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        seeds, token = self.seeded.apart(token)
        chances = self.seeded.remembered(memory, seeds, slot, active, hard=True)
        steps = [
            policy.step(inner, token, slot, active) for policy, inner in zip(self.policies, memory.inner, strict=True)
        ]
        outputs, inner = zip(*steps, strict=True)
        return sum_of(chances[:, None], outputs), MixedMemory(chances, list(inner))

    def trace(self, memory: MixedMemory) -> Memory:
        return [policy.trace(inner) for policy, inner in zip(self.policies, memory.inner, strict=True)]

    def branch(
        self, memory: MixedMemory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        each = zip(self.policies, memory.inner, traces, strict=True)
        inner = [policy.branch(of_one, trace, slots, parents) for policy, of_one, trace in each]
        return MixedMemory(memory.chances[:, parents], inner)


@dataclass(frozen=True)
class BlendedPolicy(Policy):
    """One policy whose weights are another blend in every case: each case is run by itself.

    Attributes:
        policy_of: the policy of weights.
    """

    seeded: Seeded
    base: Weights
    parts: list[Weights]
    policy_of: Callable[[Weights], Policy]

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        seeds, tokens = self.seeded.apart(tokens)

        def one(chances: Float[Array, " policy"], tokens: Float[Array, "feature node"]) -> Float[Array, "output read"]:
            return self._policy(chances)(tokens[..., None])[..., 0]

        return _by_case(one)(self.seeded.chances(seeds[:, 0], hard=False), tokens)

    def empty(self, cases: int) -> Memory:
        chances = jnp.zeros((len(self.parts), cases))
        return MixedMemory(chances, _by_case(lambda one: self._policy(one).empty(1))(chances))

    def step(
        self, memory: MixedMemory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        seeds, token = self.seeded.apart(token)
        chances = self.seeded.remembered(memory, seeds, slot, active, hard=False)

        def one(chances: Array, inner: Memory, token: Array, active: Array) -> tuple[Array, Memory]:
            output, inner = self._policy(chances).step(inner, token[:, None], slot, active[None])
            return output[:, 0], inner

        taking_part = jnp.broadcast_to(jnp.asarray(active), token.shape[1:])
        output, inner = _by_case(one)(chances, memory.inner, token, taking_part)
        return output, MixedMemory(chances, inner)

    def trace(self, memory: MixedMemory) -> Memory:
        return _by_case(lambda chances, inner: self._policy(chances).trace(inner))(*memory)

    def branch(
        self, memory: MixedMemory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        chances, inner, traces = jax.tree.map(lambda x: x[..., parents], (*memory, traces))

        def one(chances: Array, inner: Memory, traces: Memory, slots: Array) -> Memory:
            return self._policy(chances).branch(inner, traces, slots[None], jnp.zeros(1, jnp.int32))

        return MixedMemory(chances, _by_case(one)(chances, inner, traces, slots))

    def _policy(self, chances: Float[Array, " policy"]) -> Policy:
        weights = self.base
        for chance, part in zip(chances, self.parts, strict=True):
            weights = jax.tree.map(lambda a, b, z=chance: a + b * z, weights, part, is_leaf=_is_thin)
        return self.policy_of(weights)


def sum_of(weights: Float[Array, "term *axes"], terms: list[Array] | tuple[Array, ...]) -> Array:
    """The weighted sum of arrays."""
    first, *others = (weight * term for weight, term in zip(weights, terms, strict=True))
    return sum(others, first)


def _by_case(function: Callable[..., Memory]) -> Callable[..., Memory]:
    """The function of one case for all of them, which are the last axis of everything."""
    return jax.vmap(function, in_axes=-1, out_axes=-1)


def _is_thin(leaf: object) -> bool:
    return isinstance(leaf, Perturbed)
