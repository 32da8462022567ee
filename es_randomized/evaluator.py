"""Evaluators turn a draw into losses. `LocalEvaluator` uses this process; `distributed.RayEvaluator` uses a cluster."""

from abc import ABC, abstractmethod
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from es_randomized.drivers.evolution import Evolution
from es_randomized.strategies.strategy import Draw


class Evaluator(ABC):
    """One loss per member, in id order; every implementation returns the same bits."""

    @abstractmethod
    def evaluate(self, draw: Draw) -> Float[np.ndarray, " member"]:
        """Raw losses of all members of the generation."""

    def close(self) -> None:
        """Free what the evaluator holds."""

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class LocalEvaluator(Evaluator):
    """Evaluates in this process, chunks dealt out over all its devices."""

    def __init__(self, evolution: Evolution) -> None:
        self.evolution = evolution
        self.devices = jax.local_devices()

    def evaluate(self, draw: Draw) -> Float[np.ndarray, " member"]:
        samples = [jax.device_put(draw.sample, device) for device in self.devices]
        generation = np.uint32(draw.generation)
        results = [
            self.evolution.chunk_losses(samples[index % len(samples)], ids, generation)
            for index, ids in enumerate(self.evolution.chunks)
        ]
        return np.concatenate([np.asarray(r) for r in results])[: self.evolution.strategy.population]
