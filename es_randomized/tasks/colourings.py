"""Colourings as answers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from es_randomized.hashing import scrambled


def number_of(
    chosen: Int[Array, "place case"], vertices: Int[Array, "place case"], colours: int
) -> Int[Array, " case"]:
    """A colouring as one number, the same for every order of the vertices.

    The number is the colouring itself, a digit per vertex, where that fits 31 bits, and else a 32-bit hash of it.

    Args:
        chosen: the colour at every place.
        vertices: which vertex stands there.
        colours: how many there are.
    """
    if colours ** chosen.shape[0] < 2**31:
        return jnp.sum(chosen * colours**vertices, axis=0)
    digits = scrambled(vertices.astype(jnp.uint32) * jnp.uint32(colours) + chosen.astype(jnp.uint32))
    return jax.lax.bitcast_convert_type(jnp.sum(digits, axis=0, dtype=jnp.uint32), jnp.int32)
