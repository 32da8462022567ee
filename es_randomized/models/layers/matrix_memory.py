"""One matrix per head as a memory, S [value, key]: what linear attention, fast weights and gated linear attention have in common.

S ← G S + β (v − S φ(k)) φ(k)ᵀ and y = S φ(q), where the part with S in brackets is the delta rule's and β its rate. Sources:
Schlag et al. 2021 (arXiv:2102.11174), Irie et al. 2021 (arXiv:2106.06295), Sun et al. 2023 (arXiv:2307.08621), Yang et al. 2023
(arXiv:2312.06635).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.models.layers.attention import multiply_sum
from es_randomized.models.layers.recurrence import Recurrence
from es_randomized.models.units import Units, inside
from es_randomized.perturbed import WeightMatrix, products_of
from es_randomized.policy import Weights

Features = Literal["identity", "elu", "softmax", "dpfp"]
Decay = Literal["none", "constant", "head", "key"]
Feedback = Literal["none", "slow", "fast"]

EPSILON = 1e-6


class Token(NamedTuple):
    """What a token gives to the memory; the features of keys and queries are not taken yet where feedback comes in before.

    Attributes:
        rate: β before its sigmoid, of the delta rule.
        decay: what is kept of the memory, per head or per key.
        fast: key, value and rate of the second memory, where there is one.
    """

    query: Float[Array, "head key *tokens"]
    key: Float[Array, "head key *tokens"]
    value: Float[Array, "head value *tokens"]
    rate: Float[Array, "head 1 *tokens"] | None
    decay: Float[Array, "head decayed *tokens"] | None
    fast: "Token | None" = None


class MemoryState(NamedTuple):
    """The memory of one block.

    Attributes:
        total: S.
        sums: of all keys, where reads are divided by it.
        fast: S of the second memory.
        last: what was returned last, where it feeds back.
    """

    total: Float[Array, "head value key *tokens"]
    sums: Float[Array, "head key *tokens"] | None
    fast: Float[Array, "head value value *tokens"] | None
    last: Float[Array, "head value *tokens"] | None


@dataclass(frozen=True)
class MatrixMemory(Recurrence):
    """A memory of heads · key · features numbers.

    Attributes:
        heads: memories side by side.
        key: entries of queries, keys and values per head, before features are taken.
        features: φ. identity, with queries divided by sqrt(key); elu: elu(x) + 1; softmax; dpfp: products of relu(±x) with
            itself, shifted by up to `shifts`.
        delta: what stands under a key is replaced and not added to; features are then divided by their sum.
        normalised: reads are divided by the sum of all keys seen, times the query.
        decay: what is kept of the memory at every token: everything (none), a learned number per head (constant), or one that
            the token decides, per head or per key.
        feedback: what was returned last feeds back into queries, keys, values and rates (slow), or is the query to a second
            memory (fast).
    """

    heads: int
    key: int
    features: Features = "identity"
    delta: bool = False
    normalised: bool = False
    decay: Decay = "none"
    feedback: Feedback = "none"
    shifts: int = 1

    @property
    def size(self) -> int:
        return self.heads * self.key

    @property
    def ordered(self) -> bool:
        return self.delta or self.decay != "none" or self.feedback != "none"

    @cached_property
    def slots(self) -> int:
        """Entries of a key after features are taken."""
        return 2 * self.key * self.shifts if self.features == "dpfp" else self.key

    def matrices(self, width: int) -> Mapping[str, tuple[int, ...]]:
        inward, rate, square = (self.size, width), (self.heads, width), (self.heads, self.key, self.key)
        shapes: dict[str, tuple[int, ...]] = {"query": inward, "key": inward, "value": inward}
        if self.delta:
            shapes["rate"] = rate
        if self.decay in ("head", "key"):
            shapes["decay"] = inward if self.decay == "key" else rate
        if self.feedback == "fast":
            shapes |= {"fast_key": inward, "fast_value": inward, "fast_rate": rate}
        if self.feedback == "slow":
            back = {"back_query": square, "back_key": square, "back_value": square}
            shapes |= back | {"back_rate": (self.heads, 1, self.key)}
        return shapes

    def vectors(self) -> Mapping[str, Float[Array, " entry"]]:
        """Of decays, before their sigmoid: 1 − 2^(−5−h) for head h, as Sun et al. have it."""
        if self.decay == "none":
            return {}
        logits = [math.log(2.0 ** (5 + head) - 1) for head in range(self.heads)]
        return {"decay_bias": jnp.repeat(jnp.array(logits), self.key if self.decay == "key" else 1)}

    @property
    def inner(self) -> frozenset[str]:
        return frozenset(name for name in self.matrices(1) if name.startswith("back_"))

    def interchangeable(self, width: int) -> list[Units]:
        axes = dict.fromkeys([*self.matrices(width), *self.vectors()], (0,)) | {"output": (1,)}
        return [Units("heads", self.heads, inside((), axes))]

    def empty(self, cases: int) -> MemoryState:
        last, square = (self.heads, self.key, cases), (self.heads, self.key, self.key, cases)
        return MemoryState(
            jnp.zeros((self.heads, self.key, self.slots, cases)),
            jnp.zeros((self.heads, self.slots, cases)) if self.normalised else None,
            jnp.zeros(square) if self.feedback == "fast" else None,
            jnp.zeros(last) if self.feedback != "none" else None,
        )

    def given(self, weights: Weights, x: Float[Array, "width column"]) -> Token:
        names = list(self.matrices(x.shape[0]))
        names = [name for name in names if not name.startswith("back_")]
        made = dict(zip(names, products_of([weights[name] for name in names], x), strict=True))
        split = {name: y.reshape(self.heads, -1, y.shape[-1]) for name, y in made.items()}
        decay = split.get("decay")
        if self.decay != "none":
            bias = weights["decay_bias"].reshape(self.heads, -1, 1)
            decay = jax.nn.sigmoid(bias if decay is None else decay + bias)
            decay = jnp.broadcast_to(decay, (*decay.shape[:2], x.shape[-1]))
        token = Token(split["query"], split["key"], split["value"], split.get("rate"), decay)
        if self.feedback == "slow":
            return token
        token = self._with_features(token)
        if self.feedback == "none":
            return token
        key, rate = jax.nn.softmax(split["fast_key"], axis=1), jax.nn.sigmoid(split["fast_rate"])
        return token._replace(fast=Token(key, key, split["fast_value"], rate, None))

    def step(
        self, weights: Weights, state: MemoryState, given: Token
    ) -> tuple[Float[Array, "size *tokens"], MemoryState]:
        token = given
        if self.feedback == "slow" and state.last is not None:
            token = self._with_features(_fed_back(weights, state.last, token))
        y, total = written(state.total, token)
        sums, fast = state.sums, state.fast
        if sums is not None:
            sums = sums + token.key
            y = y / (jnp.sum(sums * token.query, axis=1, keepdims=True) + EPSILON)
        if fast is not None and state.last is not None and token.fast is not None:
            asked = jnp.broadcast_to(jax.nn.softmax(state.last, axis=1), y.shape)
            more, fast = written(fast, token.fast._replace(query=asked))
            y = y + more
        after = MemoryState(total, sums, fast, None if state.last is None else y)
        return y.reshape(-1, *y.shape[2:]), after

    def around(self, weights: Weights, given: Token, cases: int) -> Float[Array, "size column"]:
        """Both neighbours' values, weighted by how much their keys agree with the query."""

        def shifted(x: Float[Array, "head feature column"]) -> tuple[Array, Array]:
            wrapped = jnp.concatenate([x[..., -cases:], x, x[..., :cases]], axis=-1)
            return wrapped[..., : -2 * cases], wrapped[..., 2 * cases :]

        scores = [jnp.sum(key * given.query, axis=1, keepdims=True) for key in shifted(given.key)]
        before, after = shifted(given.value)
        y = before * scores[0] + after * scores[1]
        if self.normalised:
            y = y / (scores[0] + scores[1] + EPSILON)
        return y.reshape(self.size, -1)

    def _with_features(self, token: Token) -> Token:
        """The token with features of its key and query, and its rate between 0 and 1."""
        query, key = self._features(token.query), self._features(token.key)
        if self.features == "identity":
            query = query * self.key**-0.5
        if self.delta and self.features != "softmax":
            query, key = (x / (jnp.sum(x, axis=1, keepdims=True) + EPSILON) for x in (query, key))
        rate = None if token.rate is None else jax.nn.sigmoid(token.rate)
        return token._replace(query=query, key=key, rate=rate)

    def _features(self, x: Float[Array, "head key *tokens"]) -> Float[Array, "head slot *tokens"]:
        match self.features:
            case "elu":
                return jax.nn.elu(x) + 1
            case "softmax":
                return jax.nn.softmax(x, axis=1)
            case "dpfp":
                both = jnp.concatenate([jax.nn.relu(x), jax.nn.relu(-x)], axis=1)
                shifts = range(1, self.shifts + 1)
                return jnp.concatenate([both * jnp.roll(both, shift, axis=1) for shift in shifts], axis=1)
        return x


def written(
    total: Float[Array, "head value key *state"], token: Token
) -> tuple[Float[Array, "head value *tokens"], Float[Array, "head value key *tokens"]]:
    """What a query gets from the memory after one more token was written to it, and that memory.

    The read is worked out from the memory as it was, so that readers who share it need none of their own.
    """
    key, value, query = token.key, token.value, token.query
    if token.rate is not None:
        value = token.rate * (value - multiply_sum(total, key[:, None], axis=2))
    kept = query if token.decay is None else token.decay * query
    agreement = jnp.sum(key * query, axis=1, keepdims=True)
    y = multiply_sum(total, kept[:, None], axis=2) + value * agreement
    left = total if token.decay is None else total * token.decay[:, None]
    return y, left + value[:, :, None] * key[:, None]


def _fed_back(weights: Weights, last: Float[Array, "head value *state"], token: Token) -> Token:
    """The token with what was returned last added to its query, key, value and rate."""
    columns = jnp.tanh(last).reshape(*last.shape[:2], -1)
    names = ("query", "key", "value", "rate")
    stacks: list[list[WeightMatrix]] = [list(weights[f"back_{name}"]) for name in names]
    heads = [products_of(list(of_head), columns[head]) for head, of_head in enumerate(zip(*stacks, strict=True))]
    added = [jnp.stack(of_name).reshape(last.shape[0], -1, *last.shape[2:]) for of_name in zip(*heads, strict=True)]
    return token._replace(**{name: getattr(token, name) + more for name, more in zip(names, added, strict=True)})
