"""Estimates of the gradient from noisy slopes: a Kalman filter whose gains are learned from the halves of split batches.

Before a generation the estimate of the gradient g is m. It says that the slope along m's own direction is ‖m‖, and along every
direction orthogonal to it 0. The generation then measures the slope h = q·g + noise along each of its directions q. If the
noise has variance v and the error of the estimate, q·(g − m), has variance c, then the best linear estimate of q·g corrects
q·m by a fraction k of the surprise h − q·m:

    q·m + k (h − q·m),   k = c / (c + v) = 1 − v / E (h − q·m)².

The fraction k is called the gain. It needs two numbers, and both are measured: the mean square of the surprises, and the
variance of the noise, v = E (h′ − h″)² / 4, where h′ and h″ are the slopes on the two halves of the batch. Nothing is assumed
of how the gradient changes from one generation to the next. The direction of m has a gain of its own, because the error along
it has another size than along new directions, where m says 0. Without noise all gains are 1, and the estimate is the projection
of the gradient on the directions.
"""

from typing import TypedDict

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

HORIZON = 20  # generations that the moving averages span; in the first ones, all there are


class Moments(TypedDict):
    """Moving averages over generations, for the past direction and for the new ones.

    Attributes:
        noise: variance of the noise of a slope.
        surprise: mean square of a slope less what the estimate said of it.
    """

    noise: Float[Array, "2"]
    surprise: Float[Array, "2"]


def no_moments() -> Moments:
    """Before the first generation."""
    return Moments(noise=jnp.zeros(2), surprise=jnp.zeros(2))


def kalman_estimate(
    slopes: Float[Array, "view row"],
    expected: Float[Array, ""],
    moments: Moments,
    generation: UInt32[Array, ""],
) -> tuple[Float[Array, " row"], Moments]:
    """Estimates of the true slopes along orthonormal directions, the past one first, and the new moving averages.

    Args:
        slopes: measured on the whole batch, on its first half and on its second half.
        expected: the slope along the past direction by the estimate so far. 0 where there is no past yet: then that
            direction counts as a new one.
    """
    whole, first, second = slopes
    surprise = whole.at[0].add(-expected)
    generations = generation.astype(jnp.float32) + 1
    # The first generation has no past direction, so what is measured there says nothing of the past direction of later ones.
    span = jnp.maximum(jnp.minimum(generations - jnp.array([1.0, 0.0]), HORIZON), 1.0)

    def average(mean: Float[Array, "2"], squares: Float[Array, " row"]) -> Float[Array, "2"]:
        now = jnp.stack([squares[0], jnp.mean(squares[1:])])
        return mean + (now - mean) / span

    noise = average(moments["noise"], ((first - second) / 2) ** 2)
    surprises = average(moments["surprise"], surprise**2)
    past, new = 1 - jnp.where(surprises > 0, noise / jnp.where(surprises > 0, surprises, 1.0), 1.0)
    # The gain of new directions is at least its own standard error: with a gain of 0 nothing would ever be learned again.
    error = 2 / jnp.sqrt((len(whole) - 1) * jnp.minimum(generations, 2 * HORIZON))
    new = jnp.clip(new, jnp.minimum(error, 1.0), 1.0)
    gains = jnp.full_like(whole, new).at[0].set(jnp.where(expected == 0, new, jnp.clip(past, 0.0, 1.0)))
    return (gains * surprise).at[0].add(expected), Moments(noise=noise, surprise=surprises)
