"""Evaluators in this process: `LocalEvaluator` turns an ask into losses, and gradient descent needs none."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.evolution import evolution_at
from es_randomized.strategies.strategy import Ask, Parts


class LocalEvaluator(Evaluator):
    """Evaluates in this process, chunks dealt out over all its devices.

    Args:
        driver: `Evolution`, or one with phases.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.devices = jax.local_devices()
        self.size = len(self.devices)
        self._placed: tuple[Ask, list[Any]] | None = None  # the update of a generation reads what its evaluation read

    def evaluate(self, ask: Ask) -> Float[np.ndarray, " loss"]:
        evolution = evolution_at(self.driver, ask.generation)
        proposals, inputs = self._proposals(ask), evolution.told(ask)
        results = [
            evolution.chunk_losses(proposals[index % len(proposals)], rows, inputs)
            for index, rows in enumerate(evolution.chunks)
        ]
        return evolution.in_id_order([np.asarray(result) for result in results])

    def parts_of(self, parts: Parts, ask: Ask, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        proposals = self._proposals(ask)
        results = [parts.compute(proposals[i % len(proposals)], shaped, np.int32(i)) for i in range(parts.count)]
        return [np.asarray(result) for result in results]

    def _proposals(self, ask: Ask) -> list[Any]:
        if self._placed is None or self._placed[0] is not ask:
            self._placed = ask, [jax.device_put(ask.proposal, device) for device in self.devices]
        return self._placed[1]


class NoMembers(Evaluator):
    """For drivers that compute a generation themselves, on one device."""

    size = 1

    def evaluate(self, ask: Ask) -> Float[np.ndarray, " loss"]:
        raise TypeError("this driver has no members to evaluate")


def local_evaluator(driver: Driver) -> Evaluator:
    """What `train` needs beside `driver` to train in this process."""
    return NoMembers() if driver.first_with_members() is None else LocalEvaluator(driver)
