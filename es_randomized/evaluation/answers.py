"""Do two runs answer alike? The total variation between their distributions of answers, instance by instance.

Each is known from as many answers as there are seeds, and two samples of one distribution differ too. So halves are compared:
A's answers under one half of the seeds with B's under the other, and, as what chance alone does, the two halves of either run.
The first is larger on average than the second exactly where the distributions differ: with L1 between measures it is an energy
distance (Székely & Rizzo 2013).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from es_randomized.evaluation.statistics import Estimate, mean_estimate
from es_randomized.tasks.measure import Bounds

BLOCK = 8192  # instances at a time, to bound memory
GROUPS, SMALLEST = 8, 4  # of seeds that the interval is over, and how many a group must have

Answers = Int[np.ndarray, "instance _"]  # an answer for every seed, of which the two runs may have different numbers


class AnswerDistance(NamedTuple):
    """How differently two runs answer.

    Attributes:
        distance: total variation between A's and B's answers, in [0, 1], from half of the seeds each.
        chance: the same between the halves of one run, mean of both runs.
        excess: distance - chance of small groups of seeds, mean over instances, with its interval over groups; exact for
            frozen seeds, and infinite ends where there are too few seeds.
    """

    distance: Float[np.ndarray, " instance"]
    chance: Float[np.ndarray, " instance"]
    excess: Estimate

    @property
    def differ(self) -> bool | None:
        """Whether the two are different algorithms; None where there are too few seeds to tell."""
        if np.isinf(self.excess.low):
            return None
        return self.excess.low > 0


def answer_distance(a: Answers, b: Answers, confidence: float) -> AnswerDistance:
    """Of two runs on the same instances, whose answers are numbers; a run with a frozen seed has one of each."""
    distance, chance = _halves(a, b)
    seeds = max(a.shape[1], b.shape[1])
    groups = min(GROUPS, seeds // SMALLEST)
    if seeds == 1 or groups < 2:
        excess = float((distance - chance).mean())
        ends = (excess, excess) if seeds == 1 else (-np.inf, np.inf)
        return AnswerDistance(distance, chance, Estimate(excess, *ends))
    of_groups = (np.array_split(x, groups, axis=1) if x.shape[1] > 1 else [x] * groups for x in (a, b))
    means = np.array([np.subtract(*_halves(*group)).mean() for group in zip(*of_groups, strict=True)])
    return AnswerDistance(distance, chance, mean_estimate(means, confidence, Bounds(-1.0, 1.0)))


def total_variation(a: Answers, b: Answers) -> Float[np.ndarray, " instance"]:
    """Half of the sum, over answers, of how much the shares of a's and of b's columns differ."""
    count = len(a) // BLOCK + 1
    parts = zip(*(np.array_split(x, count) for x in (a, b)), strict=True)
    return np.concatenate([_variation(*part) for part in parts])


def _halves(a: Answers, b: Answers) -> tuple[Float[np.ndarray, " instance"], Float[np.ndarray, " instance"]]:
    """The distance between halves of different runs and of the same ones."""
    (a1, a2), (b1, b2) = (
        (x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]) if x.shape[1] > 1 else (x, x) for x in (a, b)
    )
    across, within = ((a1, b2), (a2, b1)), ((a1, a2), (b1, b2))
    distance, chance = (sum(total_variation(*pair) for pair in pairs) / 2 for pairs in (across, within))
    return np.asarray(distance), np.asarray(chance)


def _variation(a: Answers, b: Answers) -> Float[np.ndarray, " instance"]:
    """Answers of an instance are sorted together, each with the share it stands for; equal ones have one sum."""
    keys = np.sort(np.concatenate([a.astype(np.int64) << 1, b.astype(np.int64) << 1 | 1], axis=1), axis=1)
    begins = np.ones(keys.shape, bool)
    begins[:, 1:] = keys[:, 1:] >> 1 != keys[:, :-1] >> 1
    starts = np.flatnonzero(begins)
    sums = np.add.reduceat(np.where(keys & 1, -1 / b.shape[1], 1 / a.shape[1]).reshape(-1), starts)
    return np.bincount(starts // keys.shape[1], np.abs(sums), len(keys)) / 2
