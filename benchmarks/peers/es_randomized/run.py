"""es_randomized through its public interface: load, driver_of, train.

Variants: `local`, one process; `workers`, one Ray worker per core. Its environment is the one the benchmark runs in.
"""

import contextlib
import os

import jax
import jax.numpy as jnp
import numpy as np
from protocol import serve

from benchmarks.peers.workload import experiment, rollout_losses
from es_randomized import compilation, driver_of, local_evaluator, train


class EsRandomized:
    def __init__(self, config, centre):
        self.stack = contextlib.ExitStack()
        if config.variant == "workers":
            from es_randomized.distributed.session import connect

            self.stack.enter_context(connect(os.cpu_count()))
        compilation.configure()
        self.driver = driver_of(experiment(config))
        if config.variant == "workers":
            from es_randomized.distributed.evaluator import RayEvaluator

            evaluator = self.stack.enter_context(RayEvaluator(self.driver, os.cpu_count()))
        else:
            evaluator = local_evaluator(self.driver)
        self.state = self.driver.init()
        assert np.array_equal(self.driver.centre(self.state), centre), "the peers started from other weights"
        self.steps = train(self.driver, evaluator, self.state)

    def case_losses(self, weights, cycles, noise):
        return rollout_losses(self.driver.experiment, jnp.asarray(weights), cycles, noise)

    def generation(self):
        step = next(self.steps)
        self.state = jax.block_until_ready(step.state)
        return step.losses.mean()

    def centre(self):
        return np.asarray(self.driver.centre(self.state))


if __name__ == "__main__":
    serve(EsRandomized, ("jax", "ray", "evosax"))
