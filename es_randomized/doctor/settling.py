"""Whether the last centres have come to rest, or wander around a point that is better than each of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.doctor.probe import Probe

LOOKED_AT = 8
BATCHES = 2


class Settling(NamedTuple):
    """Losses on batches that training never drew.

    Attributes:
        each: mean loss of the last centres.
        spread: standard deviation of their losses.
        average: loss of the average of their weights.
    """

    each: float
    spread: float
    average: float


def settling(recent: Sequence[Float[np.ndarray, " param"]], probe: Probe, generation: int) -> Settling:
    """Compare some of the last centres, at least one, with the average of all of them."""
    every = max(1, len(recent) // LOOKED_AT)
    centres = np.stack([*list(recent)[::-every][:LOOKED_AT], np.mean(recent, axis=0)]).astype(np.float32)
    losses = np.mean([probe.objective(centres, probe.fresh(batch), generation) for batch in range(BATCHES)], axis=0)
    return Settling(float(losses[:-1].mean()), float(losses[:-1].std()), float(losses[-1]))
