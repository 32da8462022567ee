"""How far a measured slope is believed: a Kalman filter of the gradient whose gains are learned from halves of each batch.

Before a generation the gradient g is believed to be m: a slope of ‖m‖ along m's own direction, of 0 along every direction
orthogonal to it. Along a direction q the generation measures h = q·g + noise of variance v. Where q·(g − m) has variance c,
the best linear estimate of q·g, Bayes' for normal numbers, follows the surprise h − q·m by the gain k:

    q·m + k (h − q·m),   k = c / (c + v) = 1 − v / E (h − q·m)².

So what is to be known is how large surprises are and how much of them is noise, and both are measured, with no model of how
the gradient turns: with slopes h', h'' on two halves of the batch, v = E (h' − h'')² / 4. The past direction and the new ones
have their own moments, because what is not known of the slope along m has another size than what m has not found yet.
Without noise all gains are 1, and the estimate is the projection of the gradient on the directions.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

HORIZON = 20  # generations whose moments count; until there are as many, all of them

Moments = dict[str, Any]  # noise [past, new] and surprise [past, new]: mean squares


def no_moments() -> Moments:
    """Before the first generation."""
    return {"noise": jnp.zeros(2), "surprise": jnp.zeros(2)}


def kalman_estimate(
    slopes: Float[Array, "view row"],
    expected: Float[Array, ""],
    moments: Moments,
    generation: UInt32[Array, ""],
) -> tuple[Float[Array, " row"], Moments]:
    """What to believe of the slopes along orthonormal directions, the past one first, and the moments to go on with.

    Args:
        slopes: on the whole batch, on its first half and on its second half.
        expected: the slope along the past direction as believed so far; 0 where there is no past yet, and then its
            direction counts as a new one.
    """
    whole, first, second = slopes
    surprise = whole.at[0].add(-expected)
    seen = generation.astype(jnp.float32) + 1
    # The first generation has no past direction, so what is seen along it says nothing of the later ones'.
    counted = jnp.maximum(jnp.minimum(seen - jnp.array([1.0, 0.0]), HORIZON), 1.0)

    def followed(mean: Float[Array, " group"], squares: Float[Array, " row"]) -> Float[Array, " group"]:
        now = jnp.stack([squares[0], jnp.mean(squares[1:])])
        return mean + (now - mean) / counted

    noise = followed(moments["noise"], ((first - second) / 2) ** 2)
    surprises = followed(moments["surprise"], surprise**2)
    past, new = 1 - jnp.where(surprises > 0, noise / jnp.where(surprises > 0, surprises, 1.0), 1.0)
    # Never below its own standard error, because with a gain of 0 nothing would be found any more.
    error = 2 / jnp.sqrt((len(whole) - 1) * jnp.minimum(seen, 2 * HORIZON))
    new = jnp.clip(new, jnp.minimum(error, 1.0), 1.0)
    gains = jnp.full_like(whole, new).at[0].set(jnp.where(expected == 0, new, jnp.clip(past, 0.0, 1.0)))
    return (gains * surprise).at[0].add(expected), {"noise": noise, "surprise": surprises}
