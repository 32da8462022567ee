"""Attention patterns: which positions a token may look at. Arrays are `[feature, node, case]`.

Softmax attention over exactly two neighbours is a sigmoid of the difference of their scores. Patterns take the products
KᵀQ and OV, formed once per member, so that a block costs two matrix products per token instead of four; for several
heads that pays while the width is at most twice the key size. Both neighbours are slices of one wrapped copy: two rolls would be
computed again in every fusion that reads them, which halves the speed.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Weights = dict[str, Array]


def contract(matrix: Float[Array, "out in"], x: Float[Array, "in node case"]) -> Float[Array, "out node case"]:
    """`matrix @ x` over the feature axis."""
    return jax.lax.dot_general(matrix, x, (((1,), (0,)), ((), ())))


def ring(weights: Weights, x: Float[Array, "width node case"]) -> Float[Array, "width node case"]:
    """Each node attends to its two neighbours on a cycle, not to itself.

    Args:
        weights: per head, score = KᵀQ/sqrt(key) and message = OV, each `[head, width, width]`.
        x: normalised tokens.
    """
    around = jnp.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
    before, step = around[:, :-2], around[:, 2:] - around[:, :-2]
    total = jnp.zeros_like(x)
    for score, message in zip(weights["score"], weights["message"], strict=True):
        gate = jax.nn.sigmoid(jnp.sum(contract(score, x) * step, axis=0, keepdims=True))
        total += contract(message, before + gate * step)
    return total


PATTERNS = {"ring": ring}
