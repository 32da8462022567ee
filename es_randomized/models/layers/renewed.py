"""Fresh random numbers out of a seed, without any other randomness: a hash of all its numbers and of how often it was renewed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.hashing import scrambled

ODD = 0x9E3779B9  # 2^32 over the golden ratio: multiples of it are spread evenly


def renewed(seeds: Float[Array, "noise column"], times: int) -> Float[Array, "noise column"]:
    """As many numbers as a seed has, uniform on [0, 1), for every time it is renewed others.

    They are as independent as the seed has bits: of ten fair bits 1,024 streams can be made.

    Args:
        times: how often, at least 1.
    """
    state = jnp.full(seeds.shape[1:], times * ODD % 2**32, jnp.uint32)
    for row in jax.lax.bitcast_convert_type(seeds.astype(jnp.float32), jnp.uint32):
        state = scrambled(state ^ row)
    places = jnp.arange(1, len(seeds) + 1, dtype=jnp.uint32)[:, None] * jnp.uint32(ODD)
    return (scrambled(state[None] + places) >> 8).astype(seeds.dtype) * 2.0**-24
