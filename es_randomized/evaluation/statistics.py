"""Honest numbers: every estimate with an interval and its sample size.

Success rates, or losses, over instances x runs. The runs are the sample: all instances share their seeds, so intervals
resample runs of the whole policy, never single cases. The worst instance is chosen on one half of the runs and estimated
on the other, because the worst of noisy estimates is biased.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

RESAMPLES = 200


class Estimate(NamedTuple):
    """A success rate in [0, 1] or a loss, with an interval that holds with the stated confidence."""

    value: float
    low: float
    high: float


class Losses(NamedTuple):
    """Losses in task units, lower is better, also where success is the headline.

    Attributes:
        average, p95: over instances, as in `Rates`.
        between_runs: share of the variance of the loss, over instances and runs, that is between runs of one instance
            (law of total variance): 0 for a policy that does not use its randomness.
    """

    average: Estimate
    p95: Estimate
    between_runs: float


class Rates(NamedTuple):
    """Over instances: on average, of the instance at the worst 5 %, and of the worst instance."""

    average: Estimate
    p95: Estimate
    worst: Estimate


def rates(success: Bool[np.ndarray, "instance sample"], confidence: float) -> Rates:
    """Estimates from a matrix of successes; columns are independent runs (or votes).

    Args:
        success: a single column is a deterministic policy, whose values are exact.
        confidence: of every interval, in (0, 1).
    """
    if success.shape[1] == 1:
        return exact(success[:, 0].astype(float))
    average = mean_estimate(success.mean(axis=0), confidence, 0.0, 1.0)
    return Rates(average, _quantile(success, 0.05, confidence), worst(success, confidence))


def loss_rates(losses: Float[np.ndarray, "instance sample"], confidence: float, largest: float) -> Rates:
    """The same of losses between 0 and `largest`, lower is better: the worst instance is the one with the largest loss.

    The upper end for the worst instance is the largest empirical Bernstein bound (Maurer & Pontil 2009, theorem 4) over
    all instances, each at its share of the error, so it holds for the true maximum.
    """
    if losses.shape[1] == 1:
        return exact(losses[:, 0], lower_is_better=True)
    half, error = losses.shape[1] // 2, (1 - confidence) / 2
    chosen = int(np.argmax(losses[:, :half].mean(axis=1)))
    held_out = mean_estimate(losses[chosen, half:], confidence, 0.0, largest)
    mean, variance, count = losses.mean(axis=1), losses.var(axis=1, ddof=1), losses.shape[1]
    log = float(np.log(2 * len(losses) / error))
    high = mean + np.sqrt(2 * variance * log / count) + 7 * largest * log / (3 * (count - 1))
    worst_loss = Estimate(held_out.value, held_out.low, min(largest, float(high.max())))
    average = mean_estimate(losses.mean(axis=0), confidence, 0.0, largest)
    return Rates(average, _quantile(losses, 0.95, confidence), worst_loss)


def losses_of(losses: Float[np.ndarray, "instance sample"], confidence: float) -> Losses:
    """What is known of losses whose largest possible value need not be; a single column is a deterministic policy."""
    if losses.shape[1] == 1:
        single = exact(losses[:, 0], lower_is_better=True)
        return Losses(single.average, single.p95, 0.0)
    average = mean_estimate(losses.mean(axis=0), confidence, 0.0, np.inf)
    within = float(losses.var(axis=1, ddof=1).mean())
    across = max(0.0, float(losses.mean(axis=1).var(ddof=1)) - within / losses.shape[1]) if len(losses) > 1 else 0.0
    share = within / (within + across) if within else 0.0
    return Losses(average, _quantile(losses, 0.95, confidence), share)


def exact(values: Float[np.ndarray, " instance"], lower_is_better: bool = False) -> Rates:
    """The rates of a deterministic policy, which have no interval."""
    level, extreme = (0.95, values.max()) if lower_is_better else (0.05, values.min())
    quantile = np.sort(values)[
        int(np.ceil(level * (len(values) - 1))) if lower_is_better else int(level * (len(values) - 1))
    ]
    numbers = (values.mean(), quantile, extreme)
    return Rates(*(Estimate(float(n), float(n), float(n)) for n in numbers))


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


def mean_estimate(per_sample: Float[np.ndarray, " sample"], confidence: float, least: float, most: float) -> Estimate:
    """The mean of two samples or more with Student's interval, cut to what is possible."""
    from scipy import special

    mean = float(per_sample.mean())
    error = float(per_sample.std(ddof=1)) / len(per_sample) ** 0.5
    reach = float(special.stdtrit(len(per_sample) - 1, (1 + confidence) / 2)) * error
    return Estimate(mean, max(least, mean - reach), min(most, mean + reach))


def _quantile(values: Shaped[np.ndarray, "instance sample"], level: float, confidence: float) -> Estimate:
    """A quantile over instances, with a bootstrap over samples."""
    generator = np.random.default_rng(0)
    samples = values.shape[1]
    picks = generator.multinomial(samples, np.full(samples, 1 / samples), size=RESAMPLES).astype(np.float32)
    means = values.astype(np.float32) @ (picks.T / samples)
    low, high = np.quantile(np.quantile(means, level, axis=0), [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(np.quantile(values.mean(axis=1), level))
    return Estimate(value, min(value, float(low)), max(value, float(high)))
