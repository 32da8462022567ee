"""Losses of given weights on batches that training never drew: the objective as it was in a generation of the run."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from es_randomized.compilation import jit
from es_randomized.config.experiment import Experiment
from es_randomized.drivers.layout import fitness_of, with_plan, with_tile
from es_randomized.fitness import GenerationInputs

BLOCK = 16  # members in a call, so that one program serves any number of them

Weights = Float[Array | np.ndarray, "member param"]


class Probe:
    """Evaluates weights one after the other, in memory for one of them.

    Args:
        experiment: of the run, or of one of its phases.
        fresh: the number of a generation that no training reaches.
        seeds: per instance; as many as in training by default.

    Attributes:
        seeds: per instance.
        weighs_seeds: the objective looks at single seeds.
    """

    def __init__(self, experiment: Experiment, fresh: int, seeds: int | None = None) -> None:
        if seeds:
            batch = replace(experiment.batch, seeds=seeds)
            experiment = with_tile(with_plan(replace(experiment, batch=batch), tile="auto"))
        self.seeds, self._fresh = experiment.batch.seeds, fresh
        self._fitness = fitness_of(experiment, block=1)
        self.weighs_seeds = experiment.objective.takes_kinds
        self._precision = experiment.model.precision

    def fresh(self, index: int) -> int:
        """The number of a batch that training never draws."""
        return self._fresh + index

    def objective(self, members: Weights, batch: int, generation: int) -> Float[np.ndarray, " member"]:
        """The objective of a generation for every member, on the batch with another number, or its own."""
        inputs, flat = self._inputs(batch, generation), np.asarray(members, np.float32)
        padded = np.concatenate([flat, np.repeat(flat[-1:], -len(flat) % BLOCK, axis=0)])
        blocks = [padded[first : first + BLOCK] for first in range(0, len(padded), BLOCK)]
        losses = [np.asarray(self._objectives(block, inputs)) for block in blocks]
        return np.concatenate(losses)[: len(flat)].astype(np.float64)

    def losses(
        self, weights: Float[Array, " param"], batch: int, generation: int
    ) -> Float[np.ndarray, "instance seed"]:
        """What one member loses on every instance of a batch with every seed."""
        return np.asarray(self._losses(weights, self._inputs(batch, generation)), np.float64)

    def of_losses(
        self, losses: Float[np.ndarray, "instance seed"], batch: int, generation: int
    ) -> Float[np.ndarray, ""]:
        """The objective of a generation for losses on a batch that are known."""
        return np.asarray(self._objective(np.asarray(losses, np.float32), self._inputs(batch, generation)), np.float64)

    def _inputs(self, batch: int, generation: int) -> GenerationInputs:
        """The objective's number of one generation, and the draws of another."""
        return self._fitness.inputs(generation)._replace(generation=np.uint32(batch))

    @cached_property
    def _objectives(self) -> Any:
        def objectives(members: Weights, inputs: GenerationInputs) -> Float[Array, " member"]:
            now = self._fitness.at(inputs)
            return jax.lax.map(lambda flat: now.objective(now.losses(flat, inputs.generation)), members)

        return jit(objectives, self._precision)

    @cached_property
    def _objective(self) -> Any:
        return jit(lambda losses, inputs: self._fitness.at(inputs).objective(losses))

    @cached_property
    def _losses(self) -> Any:
        def losses(weights: Any, inputs: GenerationInputs) -> Float[Array, "instance seed"]:
            return self._fitness.at(inputs).losses(weights, inputs.generation)

        return jit(losses, self._precision)
