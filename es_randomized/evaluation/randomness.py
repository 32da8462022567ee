"""Where randomness may come from: what differs between repeated runs of a policy.

seed       a fresh seed per run: the randomized algorithm itself
none       one frozen seed, one run: the deterministic twin
sampled    one frozen seed; the output distribution is sampled instead of taking its largest entry
dropout    one frozen seed; hidden units of the MLPs are dropped at random, the same ones throughout a run
ensemble   one frozen seed; every run uses the weights of another training run
"""

from typing import Any, Literal, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.config.experiment import Experiment
from es_randomized.errors import ConfigError
from es_randomized.fitness import unraveller
from es_randomized.models.model import Model
from es_randomized.policy import Memory, Policy
from es_randomized.tasks.task import Seeds, Task

Randomness = Literal["seed", "none", "sampled", "dropout", "ensemble"]


class RepeatedRuns(NamedTuple):
    """Repeated runs of a policy. Every part has one entry per run, or a single one for all of them.

    Attributes:
        seeds: last axis run.
        weights: flat.
        noise: keys of the noise on the outputs; None takes the largest output.
    """

    seeds: Seeds
    weights: Float[Array, "run param"]
    noise: Key[Array, " run"] | None

    @property
    def number(self) -> int:
        """How many runs."""
        noise = 1 if self.noise is None else len(self.noise)
        return max(int(jax.tree.leaves(self.seeds)[0].shape[-1]), len(self.weights), noise)

    def seed(self, number: Int[Array, ""]) -> Seeds:
        """The seed of one run."""
        return jax.tree.map(lambda x: x[..., _entry(number, x.shape[-1])], self.seeds)

    def policy(self, number: Int[Array, ""], task: Task, model: Model, *place: Int[Array, ""]) -> Policy:
        """The policy of one run; the noise on its outputs is drawn anew for every `place`."""
        weights = self.weights[_entry(number, len(self.weights))]
        policy = model.policy(unraveller(model, task)(weights), task.interface)
        if self.noise is None:
            return policy
        key = rng.inside(self.noise[_entry(number, len(self.noise))], *place)
        return SampledPolicy(policy, key, task.chance)


class SampledPolicy(Policy):
    """Adds the noise that turns taking the largest output into sampling from the outputs' distribution.

    The largest of logits + Gumbel noise is a sample of their softmax; the sign of a logit + logistic noise is a sample of
    its bit.
    """

    def __init__(self, policy: Policy, key: Key[Array, ""], chance: str) -> None:
        self.policy, self.key = policy, key
        self.noise = {"one_of": jax.random.gumbel, "bits": jax.random.logistic}[chance]

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        output = self.policy(tokens)
        return output + self.noise(self.key, output.shape)

    def empty(self, cases: int) -> Memory:
        return self.policy.empty(cases)

    def step(self, memory: Memory, token: Any, slot: Any, active: Any = True) -> Any:
        output, memory = self.policy.step(memory, token, slot, active)
        return output + self.noise(rng.inside(self.key, slot), output.shape), memory

    def trace(self, memory: Memory) -> Any:
        return self.policy.trace(memory)

    def branch(self, memory: Memory, traces: Any, slots: Any, parents: Any) -> Memory:
        return self.policy.branch(memory, traces, slots, parents)


def runs(
    experiment: Experiment, weights: Float[Array, "model param"], randomness: Randomness, count: int, drop: float = 0.1
) -> RepeatedRuns:
    """`count` runs of trained weights, on draws training never saw.

    Args:
        weights: flat; several only for an ensemble.
        count: ignored where there is nothing to repeat (none, ensemble).
        drop: share of hidden units that dropout drops, in [0, 1).

    Raises:
        ConfigError: several weights without `ensemble`, or the other way round.
    """
    if (len(weights) > 1) != (randomness == "ensemble"):
        raise ConfigError(f"an ensemble is made of several runs, but {len(weights)} came with randomness: {randomness}")
    fresh = rng.address(experiment.seed, rng.Purpose.EVALUATION_SEEDS)
    if randomness == "seed":
        return RepeatedRuns(experiment.task.seeds(fresh, count), weights, None)
    frozen = frozen_seed(experiment)
    keys = jax.random.split(rng.address(experiment.seed, rng.Purpose.EVALUATION_NOISE), count)
    if randomness == "sampled":
        return RepeatedRuns(frozen, weights, keys)
    if randomness == "dropout":
        model, unravel = experiment.model, unraveller(experiment.model, experiment.task)
        dropped = jax.vmap(lambda key: ravel_pytree(model.dropout(unravel(weights[0]), key, drop))[0])(keys)
        return RepeatedRuns(frozen, dropped, None)
    return RepeatedRuns(frozen, weights, None)


def frozen_seed(experiment: Experiment) -> Seeds:
    """One seed: the one a fixed-seed model was trained on, else the first of those drawn for evaluation."""
    purpose = rng.Purpose.SEEDS if experiment.batch.fixed_seed else rng.Purpose.EVALUATION_SEEDS
    return experiment.task.seeds(rng.address(experiment.seed, purpose), 1)


def _entry(number: Int[Array, ""], count: int) -> Any:
    return number if count > 1 else 0
