"""Attention along a ring, a causal sequence and a store: one function for each (connectivity.py).

Arrays are `[feature, column]` with a column for every token, node by node: column = node · cases + case. Long rows keep the
vector loops of a CPU long, which they are not with nodes and cases as axes of their own.

A function takes one head's `Head` and the normalised tokens and returns what attention adds to each of them. `ring` takes
the products KᵀQ and OV, formed once per member, so that it costs two matrix products per token instead of four; for
several heads that pays while the width is at most twice the key size. Its neighbours are slices of one wrapped copy: two
rolls would be computed again in every fusion that reads them, which halves the speed.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from es_randomized.perturbed import WeightMatrix, products_of


class Head(NamedTuple):
    """The matrices of one attention head.

    Attributes:
        query, key, value: from a token to `key` features; None stands for the identity.
        output: back to the width.
    """

    query: WeightMatrix  # [key, width]
    key: WeightMatrix | None
    value: WeightMatrix | None
    output: WeightMatrix  # [width, key]


def project(matrices: Sequence[WeightMatrix | None], x: Float[Array, "in column"]) -> list[Array]:
    """`matrix @ x` for every matrix, with None as the identity."""
    products = iter(products_of([matrix for matrix in matrices if matrix is not None], x))
    return [x if matrix is None else next(products) for matrix in matrices]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def multiply_sum(a: Float[Array, "*axes"], b: Float[Array, "*others"], axis: int) -> Array:
    """sum(a * b) over one axis that is not the last, broadcasting the others.

    Written out term by term: XLA's CPU reduction over a middle axis is seven times as slow as these vector operations.
    Its derivatives are sums of the same kind, which is told to JAX because the transpose of a slice is a slow pad.
    """
    terms = (
        jax.lax.index_in_dim(a, index, axis, keepdims=False) * jax.lax.index_in_dim(b, index, axis, keepdims=False)
        for index in range(a.shape[axis])
    )
    return functools.reduce(jnp.add, terms)


def _forward(a: Array, b: Array, axis: int) -> tuple[Array, tuple[Array, Array]]:
    return multiply_sum(a, b, axis), (a, b)


def _backward(axis: int, operands: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    spread = jnp.expand_dims(cotangent, axis)
    a, b = operands
    return _like(a, spread, b), _like(b, spread, a)


def _like(target: Array, spread: Array, other: Array) -> Array:
    """spread * other, summed over the one axis that was broadcast in `target`, if any."""
    shape = jnp.broadcast_shapes(spread.shape, other.shape)
    broadcast = [axis for axis, size in enumerate(target.shape) if size != shape[axis]]
    if not broadcast:
        return spread * other
    (axis,) = broadcast
    return jnp.expand_dims(multiply_sum(spread, other, axis), axis)


multiply_sum.defvjp(_forward, _backward)


def ring(head: Head, x: Float[Array, "width column"], cases: int, softmax: bool) -> Float[Array, "width column"]:
    """Each node attends to its two neighbours on a cycle, not to itself.

    Softmax over two is a sigmoid of the difference of their scores.
    """
    score = head.query if head.key is None else head.key.mT @ head.query
    message = head.output if head.value is None else head.output @ head.value
    around = jnp.concatenate([x[:, -cases:], x, x[:, :cases]], axis=1)
    before, after, query = around[:, : -2 * cases], around[:, 2 * cases :], score @ x
    if not softmax:
        return message @ (before * _dot(query, before) + after * _dot(query, after))
    gate = jax.nn.sigmoid(_dot(query, after - before))
    return message @ (before + gate * (after - before))


def around(
    head: Head,
    x: Float[Array, "width column"],
    cases: int,
    softmax: bool,
    bias: Float[Array, " distance"],
) -> Float[Array, "width column"]:
    """Each node attends to itself and to all nodes on a cycle that are so near as there are numbers for.

    Attention alone cannot tell how far away a node is; the number of its distance, added to the score, does.
    """
    reach, nodes = len(bias) - 1, x.shape[1] // cases
    score = head.query if head.key is None else head.key.mT @ head.query
    message = head.output if head.value is None else head.output @ head.value
    wrapped = jnp.concatenate([x[:, x.shape[1] - reach * cases :], x, x[:, : reach * cases]], axis=1)
    offsets = range(-min(reach, (nodes - 1) // 2), reach + 1)
    seen = [wrapped[:, (reach + offset) * cases :][:, : x.shape[1]] for offset in offsets]
    query = score @ x
    scores = jnp.concatenate([_dot(query, y) + bias[abs(offset)] for y, offset in zip(seen, offsets, strict=True)])
    weights = jax.nn.softmax(scores, axis=0) if softmax else scores
    return message @ functools.reduce(jnp.add, (y * weight for y, weight in zip(seen, weights[:, None], strict=True)))


def causal(
    head: Head, x: Float[Array, "width column"], cases: int, softmax: bool, window: int | None = None
) -> Float[Array, "width column"]:
    """Each node attends to itself and all nodes before it, or to so many of them."""
    return _masked(head, x, x, cases, _before(x.shape[1] // cases, window), softmax)


def store(
    head: Head,
    x: Float[Array, "width column"],
    cases: int,
    softmax: bool,
    stored: int,
    silent: int,
    window: int | None = None,
) -> Float[Array, "width read"]:
    """The first `stored` nodes are a causal sequence; each of the others attends to all of them and to itself.

    So every reader gets what it would get as the last token of the sequence, at the price of one sequence for all.

    Args:
        silent: leading nodes whose result nobody reads; 0 or `stored`.
        window: how many nodes before itself a node sees, the last ones; None: all.
    """
    readers = x.shape[1] // cases - stored
    sees = np.concatenate([_before(stored, window), np.ones((readers, stored), bool)])
    if window is not None:
        sees[stored:, : max(0, stored - window)] = False
    own = np.concatenate([np.zeros(stored, bool), np.ones(readers, bool)])
    read, sources = x[:, silent * cases :], x[:, : stored * cases]
    return _masked(head, read, sources, cases, sees[silent:], softmax, own[silent:])


def _before(count: int, window: int | None) -> Bool[np.ndarray, "node node"]:
    """Which nodes of a sequence see which: themselves and those before, or so many of them."""
    sees = np.tri(count, dtype=bool)
    return sees if window is None else sees & ~np.tri(count, k=-window - 1, dtype=bool)


def _masked(
    head: Head,
    x: Float[Array, "width column"],
    source: Float[Array, "width other"],
    cases: int,
    sees: Bool[np.ndarray, "query source"],
    softmax: bool,
    own: Bool[np.ndarray, " query"] | None = None,
) -> Float[Array, "width column"]:
    """Attention of x to the sources it sees and, where `own` says so, to itself."""

    def nodes(y: Float[Array, "key column"]) -> Float[Array, "key node case"]:
        return y.reshape(y.shape[0], -1, cases)

    query, own_key, own_value = map(nodes, project((head.query, head.key, head.value), x))
    key, value = (own_key, own_value) if own is None else map(nodes, project((head.key, head.value), source))
    scores = multiply_sum(query[:, :, None], key[:, None], axis=0)
    if own is not None:
        own_score = jnp.sum(query * own_key, axis=0)
        scores = jnp.concatenate([scores, own_score[:, None]], axis=1)
        sees = np.concatenate([sees, own[:, None]], axis=1)
    weights = _normalised(scores, sees) if softmax else jnp.where(sees[..., None], scores, 0.0)
    attended = multiply_sum(value[:, None], weights[None, :, : value.shape[1]], axis=2)
    if own is not None:
        attended += own_value * weights[None, :, -1]
    return head.output @ attended.reshape(attended.shape[0], -1)


def _normalised(scores: Float[Array, "query source case"], sees: Bool[np.ndarray, "query source"]) -> Array:
    return jax.nn.softmax(jnp.where(sees[..., None], scores, -jnp.inf), axis=1)


def _dot(a: Float[Array, "width column"], b: Float[Array, "width column"]) -> Float[Array, "1 column"]:
    return jnp.sum(a * b, axis=0, keepdims=True)
