"""Evaluators in this process: `LocalEvaluator` turns a draw into losses, and gradient descent needs none."""

import jax
import numpy as np
from jaxtyping import Float

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.strategies.strategy import Draw


class LocalEvaluator(Evaluator):
    """Evaluates in this process, chunks dealt out over all its devices."""

    def __init__(self, evolution: Evolution) -> None:
        self.evolution = evolution
        self.devices = jax.local_devices()
        self.size = len(self.devices)

    def evaluate(self, draw: Draw) -> Float[np.ndarray, " member"]:
        samples = [jax.device_put(draw.sample, device) for device in self.devices]
        generation = np.uint32(draw.generation)
        results = [
            self.evolution.chunk_losses(samples[index % len(samples)], ids, generation)
            for index, ids in enumerate(self.evolution.chunks)
        ]
        return np.concatenate([np.asarray(r) for r in results])[: self.evolution.strategy.population]


class NoMembers(Evaluator):
    """For drivers that compute a generation themselves, on one device."""

    size = 1

    def evaluate(self, draw: Draw) -> Float[np.ndarray, " member"]:
        raise TypeError("this driver has no members to evaluate")


def local_evaluator(driver: Driver) -> Evaluator:
    """What `train` needs beside `driver` to train in this process."""
    return LocalEvaluator(driver) if isinstance(driver, Evolution) else NoMembers()
