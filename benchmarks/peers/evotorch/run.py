"""EvoTorch: its PGPE with a fixed step size and Adam on a vectorised objective.

Variants: `functional`, torch.func.vmap over members; `compiled`, the same through torch.compile; `actors`, two of its Ray
actors that each draw and evaluate half of the population (`distributed=True`), compiled too.
"""

import os

import numpy as np
import plain_torch
import ray
import torch
from evotorch import Problem
from evotorch.algorithms import PGPE
from protocol import serve


class Colouring(Problem):
    """Fresh cycles and seeds for every population it evaluates."""

    def __init__(self, config, parameters):
        self.config, self._members = config, None
        actors = os.cpu_count() if config.variant == "actors" else None
        super().__init__(
            objective_sense="min",
            solution_length=parameters,
            initial_bounds=(-1, 1),
            dtype=torch.float32,
            num_actors=actors,
        )

    def _evaluate_batch(self, solutions):
        if self._members is None:
            self._members = plain_torch.members(self.config.seeds, self.config.q, self.config.variant != "functional")
        tokens = plain_torch.tokens_of(*plain_torch.batch(self.config.instances, self.config.seeds))
        with torch.no_grad():
            solutions.set_evals(self._members(solutions.values.as_subclass(torch.Tensor), tokens))


class Evotorch:
    def __init__(self, config, centre):
        torch.manual_seed(
            config.seed
        )  # its actors draw their seeds from here; with a seed of its own they fail in 0.6.1
        if config.variant == "actors":
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback only, see distributed/ray_internals.py
            ray.init(address="local", num_cpus=os.cpu_count(), include_dashboard=False, object_store_memory=2**28)
        self.problem = Colouring(config, len(centre))
        self.searcher = PGPE(
            self.problem,
            popsize=config.population,
            center_learning_rate=config.learning_rate,
            stdev_learning_rate=0.0,
            stdev_init=config.std,
            optimizer="adam",
            ranking_method="centered",
            center_init=torch.as_tensor(centre),
            distributed=config.variant == "actors",
        )

    def case_losses(self, weights, cycles, noise):
        return plain_torch.case_losses(weights, cycles, noise)

    def generation(self):
        self.searcher.step()
        return float(self.searcher.status["mean_eval"])

    def centre(self):
        return np.asarray(self.searcher.status["center"])


if __name__ == "__main__":
    serve(Evotorch, ("evotorch", "torch", "ray"))
