"""Honest numbers: every estimate with an interval and its sample size.

Success rates over instances x seeds. The seeds are the sample: all instances share them, so intervals resample seeds
(runs of the whole policy), never single cases. The worst instance is chosen on one half of the seeds and estimated on the
other, because the minimum of noisy estimates is biased downwards.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

RESAMPLES = 200


class Estimate(NamedTuple):
    """A value in [0, 1] with an interval that holds with the stated confidence."""

    value: float
    low: float
    high: float


class Rates(NamedTuple):
    """Success over instances: on average, of the instance at the worst 5 %, and of the worst instance."""

    average: Estimate
    p95: Estimate
    worst: Estimate


def rates(success: Bool[np.ndarray, "instance sample"], confidence: float) -> Rates:
    """Estimates from a matrix of successes; columns are independent samples of the seed (or of a vote).

    Args:
        success: at least two columns.
        confidence: of every interval, in (0, 1).
    """
    per_instance = success.mean(axis=1)
    return Rates(
        _average(success.mean(axis=0), confidence),
        _quantile(success, per_instance, confidence),
        worst(success, confidence),
    )


def worst(success: Bool[np.ndarray, "instance sample"], confidence: float) -> Estimate:
    """The worst instance: chosen on the first half of the samples, estimated on the second.

    The lower end is the smallest Clopper-Pearson bound over all instances, each at its share of the error (Bonferroni),
    so it holds for the true minimum; the upper end is the chosen instance's own.
    """
    half = success.shape[1] // 2
    chosen = int(np.argmin(success[:, :half].sum(axis=1)))
    held_out = success[chosen, half:]
    error = (1 - confidence) / 2
    fewest = int(success.sum(axis=1).min())
    low = clopper_pearson(fewest, success.shape[1], error / len(success))[0]
    high = clopper_pearson(int(held_out.sum()), len(held_out), error)[1]
    return Estimate(float(held_out.mean()), low, high)


def clopper_pearson(successes: int, trials: int, error: float) -> tuple[float, float]:
    """The exact binomial interval whose either end is wrong with probability at most `error`."""
    from scipy import special  # half a second that `import es_randomized` should not cost

    low = special.betaincinv(successes, trials - successes + 1, error) if successes else 0.0
    high = special.betaincinv(successes + 1, trials - successes, 1 - error) if successes < trials else 1.0
    return float(low), float(high)


def _average(per_sample: Float[np.ndarray, " sample"], confidence: float) -> Estimate:
    """The mean with Student's interval."""
    from scipy import special

    mean = float(per_sample.mean())
    error = float(per_sample.std(ddof=1)) / len(per_sample) ** 0.5
    reach = float(special.stdtrit(len(per_sample) - 1, (1 + confidence) / 2)) * error
    return Estimate(mean, max(0.0, mean - reach), min(1.0, mean + reach))


def _quantile(
    success: Bool[np.ndarray, "instance sample"], per_instance: Float[np.ndarray, " instance"], confidence: float
) -> Estimate:
    """The 5 % quantile over instances, with a bootstrap over samples."""
    generator = np.random.default_rng(0)
    samples = success.shape[1]
    picks = generator.multinomial(samples, np.full(samples, 1 / samples), size=RESAMPLES).astype(np.float32)
    means = success.astype(np.float32) @ (picks.T / samples)
    low, high = np.quantile(np.quantile(means, 0.05, axis=0), [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(np.quantile(per_instance, 0.05))
    return Estimate(value, min(value, float(low)), max(value, float(high)))
