"""Credit: which share of the loss every decision of a sampled rollout is blamed for.

The score function (Williams 1992) weighs the log-probability of an action with the loss that it brought on, less a
baseline that the action cannot have moved: what the other seeds of the same instance lose from that step on, if they still
had something to decide. The objective is made linear around the sampled losses.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from es_randomized.errors import ConfigError
from es_randomized.fitness import Fitness, one_decision
from es_randomized.tasks.decisions import Decisions

Credit = Literal["rollout", "decision"]


def surrogate(
    fitness: Fitness,
    credit: Credit,
    entropy: Float[Array, ""] | None,
    weights: Float[Array, " param"],
    generation: UInt32[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """A number whose derivative is the score-function gradient, and the objective at the sampled losses.

    Args:
        credit: blame decisions one by one, or all of a case together for the whole loss.
        entropy: how much less a case loses for every nat of its decisions' mean entropy; None: nothing.

    Raises:
        ConfigError: the task does not say the entropy of its decisions.
    """
    losses, decisions = fitness.sampled_losses(weights, generation)
    loss, slope = jax.value_and_grad(fitness.objective)(jax.lax.stop_gradient(losses))
    blamed = decisions if credit == "decision" else as_one(losses, decisions)
    score = jnp.sum(slope[None] * jax.lax.stop_gradient(advantage(blamed)) * blamed.log_probability)
    if entropy is None:
        return score, loss
    if decisions.entropy is None:
        raise ConfigError(
            f"driver.entropy: the sampled_rollout of {type(fitness.task).__name__} does not say the entropy of its "
            "decisions; let it return Decisions with one, or leave driver.entropy out"
        )
    return score - entropy * jnp.sum(slope * mean_entropy(decisions)), loss


def as_one(losses: Float[Array, "instance seed"], decisions: Decisions) -> Decisions:
    """All decisions of a case as a single one."""
    taken = jnp.where(decisions.open, decisions.log_probability, 0.0)
    return one_decision(losses, jnp.sum(taken, axis=0))


def advantage(decisions: Decisions) -> Float[Array, "step instance seed"]:
    """How much more than the others a case loses from every decision on; 0 where there was nothing to decide.

    The others are the other seeds of its instance that decide at the same step, and for the sampled part of the loss those
    that played it.
    """
    whole, part = above_others(decisions.open, decisions.to_come), decisions.sampled
    return whole if part is None else whole + above_others(decisions.open & part.known, part.to_come)


def above_others(
    known: Bool[Array, "step instance seed"], losses: Float[Array, "step instance seed"]
) -> Float[Array, "step instance seed"]:
    """Known losses less the mean of the other seeds' known ones, which is 0 if there are none; 0 where it is not known."""
    losses = jnp.where(known, losses, 0.0)
    counted = known.astype(jnp.float32)
    others = jnp.sum(counted, axis=2, keepdims=True) - counted
    mean = (jnp.sum(losses, axis=2, keepdims=True) - losses) / jnp.maximum(1.0, others)
    return jnp.where(known, losses - mean, 0.0)


def mean_entropy(decisions: Decisions) -> Float[Array, "instance seed"]:
    """Of the decisions of every case, in nats; their effect on what is decided later is left out."""
    assert decisions.entropy is not None
    total = jnp.sum(jnp.where(decisions.open, decisions.entropy, 0.0), axis=0)
    return total / jnp.maximum(1.0, jnp.sum(decisions.open.astype(jnp.float32), axis=0))
