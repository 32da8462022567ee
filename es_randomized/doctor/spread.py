"""What the losses of a population look like: how many differ, by how much, and whether antithetic pairs differ in sign."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Spread(NamedTuple):
    """The losses of some generations, each measured alone and then averaged.

    Attributes:
        level: mean finite loss.
        spread: standard deviation over the members.
        not_finite: share of losses that are NaN or infinite.
        tied: share of members whose loss another member of the generation has too.
        pairs: correlation of the two losses of antithetic pairs: -1 where losses are linear in the weights, above 0 where a
            step to either side does much the same; None for strategies without pairs.
    """

    level: float
    spread: float
    not_finite: float
    tied: float
    pairs: float | None


def spread_of(losses: Float[np.ndarray, "generation member"], antithetic: bool) -> Spread:
    """Measure some generations.

    Args:
        losses: in id order; of antithetic pairs the second members follow all the first ones.
    """
    finite = [row[np.isfinite(row)] for row in losses]
    known = [row for row in finite if len(row)]
    together = [pair_correlation(row) for row in losses] if antithetic else []
    correlations = [value for value in together if value is not None]
    return Spread(
        level=_mean([float(row.mean(dtype=float)) for row in known]),
        spread=_mean([float(row.std(dtype=float)) for row in known]),
        not_finite=float(1 - np.isfinite(losses).mean()),
        tied=_mean([tied_share(row) for row in known]),
        pairs=_mean(correlations) if correlations else None,
    )


def tied_share(losses: Float[np.ndarray, " member"]) -> float:
    """Share of the members whose loss is not theirs alone."""
    _, counts = np.unique(losses, return_counts=True)
    return float(counts[counts > 1].sum() / len(losses))


def pair_correlation(losses: Float[np.ndarray, " member"]) -> float | None:
    """Of the first and the second half of the losses; None where nothing varies or fewer than three pairs are finite."""
    first, second = losses.reshape(2, -1).astype(float)
    both = np.isfinite(first) & np.isfinite(second)
    return correlation(first[both], second[both])


def correlation(one: Float[np.ndarray, " value"], other: Float[np.ndarray, " value"]) -> float | None:
    """Pearson's, of at least three values that vary; else None."""
    if len(one) < 3 or not np.ptp(one) or not np.ptp(other):
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
