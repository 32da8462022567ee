"""Attention patterns: which positions a token may look at. Arrays are `[feature, node, case]`.

Softmax attention over exactly two neighbours is a sigmoid of the difference of their scores. The products KᵀQ and OV
are merged once per member, so that a block costs two matrix products per token instead of four; for several heads that
pays while the width is at most twice the key size. Both neighbours are slices of one wrapped copy: two rolls would be
computed again in every fusion that reads them, which halves the speed.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Weights = dict[str, Array]


def contract(
    matrix: Float[Array, "out in"], x: Float[Array, "in node case"]
) -> Float[Array, "out node case"]:
    """`matrix @ x` over the feature axis."""
    return jax.lax.dot_general(matrix, x, (((1,), (0,)), ((), ())))


def ring(weights: Weights, x: Float[Array, "width node case"], heads: int) -> Float[Array, "width node case"]:
    """Each node attends to its two neighbours on a cycle, not to itself.

    Args:
        weights: query, key, value `[heads * key, width]` and output `[width, heads * key]`.
        x: normalised tokens.
        heads: number of attention heads.
    """
    queries, keys, values = (jnp.split(weights[name], heads) for name in ("query", "key", "value"))
    outputs = jnp.split(weights["output"], heads, axis=1)
    around = jnp.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
    before, step = around[:, :-2], around[:, 2:] - around[:, :-2]
    message = jnp.zeros_like(x)
    for query, key, value, output in zip(queries, keys, values, outputs, strict=True):
        scores = contract(key.T @ query * key.shape[0] ** -0.5, x)
        gate = jax.nn.sigmoid(jnp.sum(scores * step, axis=0, keepdims=True))
        message += contract(output @ value, before + gate * step)
    return message


PATTERNS = {"ring": ring}
