"""Where randomness may come from: what differs when a policy is run again and again on the same instances.

seed       a fresh seed per run: the randomized algorithm itself
none       one frozen seed, one run: the deterministic twin
sampled    one frozen seed; the output distribution is sampled instead of taking its largest entry
dropout    one frozen seed; hidden units of the model are dropped at random, the same ones throughout a run
ensemble   one frozen seed; every run uses the weights of another training run
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.config.experiment import Experiment
from es_randomized.errors import ConfigError
from es_randomized.fitness import unraveller
from es_randomized.models.model import Model
from es_randomized.policy import Changed, Policy, Slot
from es_randomized.precision import widened
from es_randomized.tasks.task import Seeds, Task

Randomness = Literal["seed", "none", "sampled", "dropout", "ensemble"]


class RepeatedRuns(NamedTuple):
    """What each of several runs of a policy uses. Every part has one entry per run, or a single one for all of them.

    Attributes:
        seeds: random seeds of the policy, last axis run.
        weights: flat.
        sampling: keys for sampling the outputs; None takes the largest output.
    """

    seeds: Seeds
    weights: Float[Array, "run param"]
    sampling: Key[Array, " run"] | None

    @property
    def size(self) -> int:
        """How many runs."""
        sampled = 1 if self.sampling is None else len(self.sampling)
        return max(int(jax.tree.leaves(self.seeds)[0].shape[-1]), len(self.weights), sampled)

    def seed(self, run: Int[Array, ""]) -> Seeds:
        """The seed of one run."""
        return jax.tree.map(lambda x: x[..., _entry(run, x.shape[-1])], self.seeds)

    def policy(
        self, run: Int[Array, ""], task: Task, model: Model, block: Int[Array, ""], nodes: int | None = None
    ) -> Policy:
        """The policy of one run.

        Args:
            block: number of the instances it will meet; outputs are sampled independently for every block.
            nodes: given at once, where that is not what the task says.
        """
        weights = unraveller(model, task)(self.weights[_entry(run, len(self.weights))])
        weights = widened(weights, model.precision)
        policy = model.policy(weights, replace(task.interface, nodes=nodes or task.interface.nodes))
        if self.sampling is None:
            return policy
        return SampledPolicy(policy, rng.inside(self.sampling[_entry(run, len(self.sampling))], block), task.chance)


@dataclass(frozen=True)
class SampledPolicy(Changed):
    """Adds noise to the outputs of a policy, so that the largest one is a sample of the distribution they describe.

    The largest of logits + Gumbel noise is a sample of their softmax; the sign of a logit + logistic noise is a sample of
    its bit.

    Attributes:
        chance: what the outputs are logits of, as the task says.
    """

    key: Key[Array, ""]
    chance: Literal["one_of", "bits"]

    def changed(self, outputs: Float[Array, "..."], slot: Slot | None) -> Float[Array, "..."]:
        noise = jax.random.gumbel if self.chance == "one_of" else jax.random.logistic
        return outputs + noise(self.key if slot is None else rng.inside(self.key, slot), outputs.shape)


def repeated_runs(
    experiment: Experiment, weights: Float[Array, "model param"], randomness: Randomness, count: int, drop: float = 0.1
) -> RepeatedRuns:
    """`count` runs of trained weights, on draws training never saw.

    Args:
        weights: flat; several only for an ensemble.
        count: ignored where there is nothing to repeat (none, ensemble).
        drop: share of hidden units that dropout drops, in [0, 1).

    Raises:
        ConfigError: several weights without `ensemble`, or the other way round; or the model cannot drop units.
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
        whole = unraveller(experiment.model, experiment.task)(weights[0])
        dropped = jax.vmap(lambda key: ravel_pytree(experiment.model.dropout(whole, key, drop))[0])(keys)
        return RepeatedRuns(frozen, dropped, None)
    return RepeatedRuns(frozen, weights, None)


def frozen_seed(experiment: Experiment) -> Seeds:
    """One seed: the one a fixed-seed model was trained on, else the first of those drawn for evaluation."""
    purpose = rng.Purpose.SEEDS if experiment.batch.fixed_seed else rng.Purpose.EVALUATION_SEEDS
    return experiment.task.seeds(rng.address(experiment.seed, purpose), 1)


def _entry(run: Int[Array, ""], entries: int) -> Int[Array, ""] | int:
    """Where a run finds its part: there is one entry per run, or a single one."""
    return run if entries > 1 else 0
