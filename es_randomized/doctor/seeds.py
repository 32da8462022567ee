"""What the seed decides: how much of a policy's loss is luck, and what the objective makes of few seeds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from es_randomized.doctor.probe import Probe
from es_randomized.evaluation.statistics import between_runs

BATCHES = 4
MORE = 4  # times as many seeds as in training
AT_LEAST = 16


class SeedUse(NamedTuple):
    """Of one set of weights, on batches that training never drew.

    Attributes:
        share: of the variance of the loss over instances and seeds, what is between seeds of one instance; 0 for a policy that
            ignores its seed.
        instances: standard deviation of the mean loss over instances.
        few: the objective with as many seeds as in training; None where it weighs every seed by itself.
        many: the objective with more of them.
        mean: loss.
    """

    share: float
    instances: float
    few: float | None
    many: float
    mean: float


def more_seeds(seeds: int) -> int:
    """How many seeds to look at where training has so many."""
    return max(AT_LEAST, MORE * seeds)


def seed_use(weights: Float[Array, " param"], probe: Probe, seeds: int, generation: int) -> SeedUse:
    """Measure the use of seeds.

    Args:
        probe: with `more_seeds`.
        seeds: of training.
    """
    numbers = [probe.fresh(batch) for batch in range(BATCHES)]
    batches = [probe.losses(weights, number, generation) for number in numbers]
    losses = np.concatenate(batches)

    def objective(count: int) -> float:
        values = [
            probe.of_losses(batch[:, :count], number, generation)
            for batch, number in zip(batches, numbers, strict=True)
        ]
        return float(np.mean(values))

    return SeedUse(
        share=share_between_seeds(losses),
        instances=float(losses.mean(axis=1).std()),
        few=None if probe.weighs_seeds else objective(seeds),
        many=objective(probe.seeds),
        mean=float(losses.mean()),
    )


def share_between_seeds(losses: Float[np.ndarray, "instance seed"]) -> float:
    """Share of the variance between seeds of one instance, of two seeds or more (law of total variance)."""
    return between_runs(losses.mean(axis=1), float(losses.var(axis=1, ddof=1).mean()), losses.shape[1])
