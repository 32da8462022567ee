"""Credit: which share of the loss every decision of a sampled rollout is blamed for.

The score function (Williams 1992) weighs the log-probability of an action with the loss that it brought on, less a
baseline that the action cannot have moved: what other rollouts of the same instance lose from that step on, if they still
had something to decide: those of the same seed before those of others. The objective is made linear around the losses.
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
    samples: int,
    entropy: Float[Array, ""] | None,
    weights: Float[Array, " param"],
    generation: UInt32[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """A number whose derivative is the score-function gradient, and the objective at the sampled losses.

    Args:
        credit: blame decisions one by one, or all of a case together for the whole loss.
        samples: rollouts of every instance and seed.
        entropy: how much less a case loses for every nat of its decisions' mean entropy; None: nothing.

    Raises:
        ConfigError: the task does not say the entropy of its decisions.
    """
    losses, decisions = fitness.sampled_losses(weights, generation, samples)
    loss, slope = jax.value_and_grad(lambda x: fitness.objective(over_samples(x, samples)))(
        jax.lax.stop_gradient(losses)
    )
    blamed = decisions if credit == "decision" else as_one(losses, decisions)
    above = jax.lax.stop_gradient(advantage(blamed, samples))
    score = jnp.sum(slope[None] * above * blamed.log_probability)
    if entropy is None:
        return score, loss
    if decisions.entropy is None:
        raise ConfigError(
            f"driver.entropy: the sampled_rollout of {type(fitness.task).__name__} does not say the entropy of its "
            "decisions; let it return Decisions with one, or leave driver.entropy out"
        )
    return score - entropy * jnp.sum(slope * mean_entropy(decisions)), loss


def over_samples(losses: Float[Array, "instance case"], samples: int) -> Float[Array, "instance seed"]:
    """The mean of every seed's rollouts."""
    return jnp.mean(losses.reshape(len(losses), -1, samples), axis=2)


def as_one(losses: Float[Array, "instance case"], decisions: Decisions) -> Decisions:
    """All decisions of a case as a single one."""
    taken = jnp.where(decisions.open, decisions.log_probability, 0.0)
    return one_decision(losses, jnp.sum(taken, axis=0))


def advantage(decisions: Decisions, samples: int = 1) -> Float[Array, "step instance case"]:
    """How much more than others a case loses from every decision on; 0 where there was nothing to decide.

    The others are the rollouts of its instance that decide at the same step, and for the sampled part of the loss those
    that played it. The mean of all of them counts as much as one more rollout of the same seed.
    """
    whole, part = above_others(decisions.open, decisions.to_come, samples), decisions.sampled
    return whole if part is None else whole + above_others(decisions.open & part.known, part.to_come, samples)


def above_others(
    known: Bool[Array, "step instance case"], losses: Float[Array, "step instance case"], samples: int = 1
) -> Float[Array, "step instance case"]:
    """Known losses less a mean of the others' known ones, which is 0 if there are none; 0 where it is not known."""
    losses, counted = jnp.where(known, losses, 0.0), known.astype(jnp.float32)
    mean = of_others(losses, counted.shape[2]) / jnp.maximum(1.0, of_others(counted, counted.shape[2]))
    baseline = (mean + of_others(losses, samples)) / (1.0 + of_others(counted, samples))
    return jnp.where(known, losses - baseline, 0.0)


def of_others(values: Float[Array, "step instance case"], together: int) -> Float[Array, "step instance case"]:
    """The sum of the others' values, among so many cases next to one another."""
    grouped = values.reshape(*values.shape[:2], -1, together)
    return (jnp.sum(grouped, axis=3, keepdims=True) - grouped).reshape(values.shape)


def mean_entropy(decisions: Decisions) -> Float[Array, "instance case"]:
    """Of the decisions of every case, in nats; their effect on what is decided later is left out."""
    assert decisions.entropy is not None
    total = jnp.sum(jnp.where(decisions.open, decisions.entropy, 0.0), axis=0)
    return total / jnp.maximum(1.0, jnp.sum(decisions.open.astype(jnp.float32), axis=0))
