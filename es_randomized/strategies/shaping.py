"""Fitness shaping: what a strategy sees instead of raw losses.

Ties share one value, because with 0/1 losses an order among equal members would be an order by position, and the centre
would drift on no information.
"""

from collections.abc import Callable
from typing import get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from es_randomized.errors import ConfigError
from es_randomized.strategies.evolution_settings import Shaping

SHAPINGS = get_args(Shaping)
Losses = Float[Array, " member"]
HUGE = 1e15  # of losses: float32 holds the squares and sums of smaller ones
SMALLER = 2.0**-80


def by_name(name: str) -> Callable[[Losses, Losses | None], Losses]:
    """The shaping called `name`, one of `SHAPINGS` other than default: (losses, weights by rank, best first) -> shaped losses."""
    from evosax.core import fitness_shaping as evosax_shaping

    if name == "weights":
        return tied_weights
    function: Callable[..., Losses] = {
        "centred_rank": evosax_shaping.centered_rank_fitness_shaping_fn,
        "standardise": evosax_shaping.standardize_fitness_shaping_fn,
        "normalise": evosax_shaping.normalize_fitness_shaping_fn,
        "identity": evosax_shaping.identity_fitness_shaping_fn,
    }[name]
    scale_free = name in ("standardise", "normalise")
    return lambda losses, weights: function(None, moderate(losses) if scale_free else losses, None, None)


def moderate(losses: Losses) -> Losses:
    """Losses made smaller where their squares or sums would be no float32 numbers; as they are otherwise."""
    return losses * jnp.where(jnp.max(jnp.abs(losses)) > HUGE, jnp.float32(SMALLER), jnp.float32(1))


def no_weights(kind: str) -> ConfigError:
    """What to say where `weights` is asked of a strategy without."""
    return ConfigError(f"driver.shaping: {kind} has no weights by rank; use default or centred_rank")


def tied_weights(losses: Losses, weights: Losses | None) -> Losses:
    """Recombination weights by rank, where tied members share the mean weight of their ranks.

    evosax 0.3.2 truncates average ranks to an index instead, so that tied losses move SNES and CMA-ES.
    """
    assert weights is not None
    ranked = jnp.sort(losses)
    first, last = (jnp.searchsorted(ranked, losses, side=side) for side in ("left", "right"))
    sums = jnp.concatenate([jnp.zeros(1), jnp.cumsum(weights)])
    shared = (sums[last] - sums[first]) / (last - first).astype(losses.dtype)
    # Weights that sum to 0 share 1e-9 by rounding, which an optimizer like adam would blow up to a full step.
    shared = jnp.where(jnp.abs(shared) < 1e-5 * jnp.max(jnp.abs(weights)), 0.0, shared)
    return jnp.where(last - first == 1, weights[first], shared)


def ranks(losses: Float[np.ndarray, " member"]) -> Float[np.ndarray, " member"]:
    """Ranks of finite losses from 0 for the best on; ties share the mean of theirs, as in evosax.

    Sorted by NumPy, because XLA's sort on a CPU takes ten times as long while every worker waits.
    """
    ordered = np.sort(losses)
    below, up_to = (np.searchsorted(ordered, losses, side=side).astype(np.float32) for side in ("left", "right"))
    return (below + up_to - np.float32(1)) / np.float32(2)


def centred(ranked: Float[Array, " member"]) -> Float[Array, " member"]:
    """Ranks from -0.5 to 0.5."""
    return ranked / (ranked.shape[-1] - 1) - 0.5


def rank_worst(losses: Float[np.ndarray, " member"]) -> Float[np.ndarray, " member"]:
    """Losses with every NaN and infinity replaced by a finite value worse than all finite ones.

    Raises:
        ValueError: no loss is finite, so there is nothing to rank.
    """
    finite = np.isfinite(losses)
    if finite.all():
        return losses
    if not finite.any():
        raise ValueError("no loss is finite")
    best, worst = losses[finite].min(), losses[finite].max()
    with np.errstate(over="ignore"):
        margin = np.float32(max(worst - best, 1e-3 * abs(worst), 1e-6))
        filled = np.minimum(worst + margin, np.finfo(losses.dtype).max)
    return np.where(finite, losses, filled).astype(losses.dtype)
