"""Acting step by step: the largest of a policy's outputs, or a sample of their softmax, until nobody is active any more."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

from es_randomized import rng


class Acts(NamedTuple):
    """What was done in every step.

    Attributes:
        log_chance: log-probability of the action, when actions are sampled.
        entropy: of the distribution it was drawn from, in nats.
    """

    log_chance: Float[Array, "*step case"]
    entropy: Float[Array, "*step case"]


def act(outputs: Float[Array, "action case"], noise: Any) -> tuple[Int[Array, " case"], Acts]:
    """The largest output, or with Gumbel noise a sample of their softmax."""
    if noise is None:
        return jnp.argmax(outputs, axis=0), Acts(*jnp.zeros((2, outputs.shape[1])))
    action = jnp.argmax(outputs + noise, axis=0)
    log_chances = jax.nn.log_softmax(outputs, axis=0)
    entropy = -jnp.sum(jnp.exp(log_chances) * log_chances, axis=0)
    return action, Acts(jnp.take_along_axis(log_chances, action[None], axis=0)[0], entropy)


def noise_of(
    key: Key[Array, ""] | None, times: Int[Array, " time"], actions: int, cases: int
) -> Float[Array, "time {actions} {cases}"] | None:
    """What actions are sampled with at these times, if there is a key; drawn at once, which is much faster than step by step."""
    if key is None:
        return None
    return jax.vmap(lambda time: jax.random.gumbel(rng.inside(key, time), (actions, cases)))(times)


def repeat(step: Any, state: Any, times: int, noise: Float[Array, "time action case"] | None) -> Any:
    """Apply step(time, noise, state) -> (state, made) `times` times, where a gradient is wanted: all that was made.

    Without noise until nobody is active, which the second part of the state says, and nothing is kept of what was made.
    """
    if noise is not None:
        return jax.lax.scan(lambda s, now: step(*now, s), state, (jnp.arange(times), noise))
    carry = (jnp.int32(0), state)
    going = jax.lax.while_loop(
        lambda c: (c[0] < times) & jnp.any(c[1][1]), lambda c: (c[0] + 1, step(c[0], None, c[1])[0]), carry
    )
    return going[1], None


def mixed(hashed: UInt32[Array, " case"], action: Int[Array, " case"]) -> UInt32[Array, " case"]:
    """A hash of what was done before, with one more action or place; it begins with 0."""
    return (hashed ^ action.astype(jnp.uint32)) * jnp.uint32(16777619)


def answer_of(hashed: UInt32[Array, " case"]) -> Int[Array, " case"]:
    """A hash as an answer, in 31 bits."""
    return (hashed >> 1).astype(jnp.int32)
