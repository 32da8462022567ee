"""A quick look at the weights while they train: instances and seeds that training never sees, the same throughout."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from es_randomized import rng
from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import RepeatedRuns, frozen_seed

CHECKS = 100  # how often over a run the weights are scored
INSTANCES, SEEDS = 512, 64


class HeldOut:
    """Scores weights on the generations where it is due.

    Args:
        outcomes: of this task and model, with its compiled program; a new one by default.
    """

    def __init__(self, experiment: Experiment, outcomes: Outcomes | None = None) -> None:
        task = experiment.task
        self.task = task
        self.last = experiment.budget.generations - 1
        self.every = max(1, experiment.budget.generations // CHECKS)
        self.outcomes = outcomes or Outcomes(task, experiment.model)
        count = min(max(1, INSTANCES // task.bundle), _all_bundles(experiment))
        self.bundles = task.sample(rng.address(experiment.seed, rng.Purpose.CHECK_INSTANCES), count)
        fresh = rng.address(experiment.seed, rng.Purpose.CHECK_SEEDS)
        self.seeds = frozen_seed(experiment) if experiment.batch.fixed_seed else task.seeds(fresh, SEEDS)

    def due(self, generation: int) -> bool:
        """Whether the weights after `generation` should be scored."""
        return not generation % self.every or generation == self.last

    def __call__(self, weights: Float[Array, " param"]) -> dict[str, float]:
        """The task's measure on average, at the worst 5 % of the instances, and at the worst of them."""
        outcome = self.outcomes(RepeatedRuns(self.seeds, jnp.asarray(weights)[None], None), self.bundles)
        measure = self.task.measure
        values = measure.values(outcome).mean(axis=1)
        return {
            "held_out_average": float(values.mean()),
            "held_out_p95": float(np.quantile(values, measure.worst_level)),
            "held_out_worst": measure.worst(values),
        }


def _all_bundles(experiment: Experiment) -> int:
    everything = experiment.task.enumerate()
    return INSTANCES if everything is None else int(everything.shape[-1])
