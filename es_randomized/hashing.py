"""Hashes of arrays, traceable."""

import jax.numpy as jnp
from jaxtyping import Array, UInt32


def scrambled(x: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """The finaliser of MurmurHash3: every bit of x moves about half of the result's bits."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
