"""Cases: every instance with every seed, and back from what they lose to a matrix of both."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped


def pair(bundles: Any, seeds: Any) -> tuple[Any, Any]:
    """Every bundle with every seed: both get the axis `case`, bundle-major."""
    bundle_count = jax.tree.leaves(bundles)[0].shape[-1]
    seed_count = jax.tree.leaves(seeds)[0].shape[-1]
    return (
        jax.tree.map(lambda x: jnp.repeat(x, seed_count, axis=-1), bundles),
        jax.tree.map(lambda x: jnp.tile(x, bundle_count), seeds),
    )


def alternating(
    first: Shaped[Array, "*axis bundle"], second: Shaped[Array, "*axis bundle"]
) -> Shaped[Array, "*axis both"]:
    """The first of one, the first of the other, the second of one, ...: either half of a batch has as much of both."""
    return jnp.stack([first, second], axis=-1).reshape(*first.shape[:-1], -1)


def by_instance(cases: Shaped[Array, "tile variant case"], seeds: int) -> Shaped[Array, "instance seed"]:
    """Losses or other values of paired cases as a matrix: instances bundle by bundle."""
    variants = cases.shape[1]
    joined = jnp.moveaxis(cases, 1, 0).reshape(variants, -1, seeds)
    return jnp.moveaxis(joined, 0, 1).reshape(-1, seeds)
