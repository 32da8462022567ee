"""Honest numbers: every estimate with an interval and its sample size.

Success rates, or losses, over instances x runs. The runs are the sample: all instances share their seeds, so intervals
resample runs of the whole policy, never single cases. The worst instance is chosen on one half of the runs and estimated
on the other, because the worst of noisy estimates is biased. Every interval contains its estimate and lies in the bounds of
what is measured; an end is infinite where it would need a bound that is not known.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from es_randomized.tasks.measure import UNBOUNDED, Bounds, Measure

RESAMPLES = 200
LEVELS = {"average": "average", "p95": "95th percentile", "worst": "worst"}

Matrix = Shaped[np.ndarray, "instance #run"]  # a policy with one frozen seed has one run


class Estimate(NamedTuple):
    """A value of a measure, with an interval that holds with the stated confidence."""

    value: float
    low: float
    high: float


class Levels(NamedTuple):
    """Over instances: on average, of the instance at the worst 5 %, and of the worst instance."""

    average: Estimate
    p95: Estimate
    worst: Estimate


class Losses(NamedTuple):
    """Losses in task units, lower is better, also where the task is measured by something else.

    Attributes:
        average, p95: over instances, as in `Levels`.
        between_runs: share of the variance of the loss, over instances and runs, that is between runs of one instance
            (law of total variance): 0 for a policy that does not use its randomness.
    """

    average: Estimate
    p95: Estimate
    between_runs: float


def levels(values: Matrix, measure: Measure, confidence: float) -> Levels:
    """Estimates of values of a measure; columns are independent runs (or votes).

    Args:
        values: a single column is a deterministic policy, whose values are exact.
        confidence: of every interval, in (0, 1).
    """
    if values.shape[1] == 1:
        return exact(values[:, 0], measure)
    average = mean_estimate(values.mean(axis=0, dtype=float), confidence, measure.bounds)
    worst = worst_success if values.dtype == bool else worst_value
    return Levels(
        average, quantile(values, measure.worst_level, confidence, measure.bounds), worst(values, measure, confidence)
    )


def exact(values: Shaped[np.ndarray, " instance"], measure: Measure) -> Levels:
    """The levels of a deterministic policy, which have no interval."""
    worst_first = values[measure.worst_first(values.astype(float))]
    numbers = (mean_of(values), worst_first[int(0.05 * (len(values) - 1))], worst_first[0])
    return Levels(*(Estimate(float(n), float(n), float(n)) for n in numbers))


def worst_success(success: Bool[np.ndarray, "instance run"], measure: Measure, confidence: float) -> Estimate:
    """The instance with the fewest successes: chosen on the first half of the runs, estimated on the second.

    The lower end is the smallest Clopper-Pearson bound over all instances, each at its share of the error (Bonferroni),
    so it holds for the true minimum; the upper end is the chosen instance's own.
    """
    half, error = success.shape[1] // 2, (1 - confidence) / 2
    held_out = success[int(np.argmin(success[:, :half].sum(axis=1))), half:]
    low = clopper_pearson(int(success.sum(axis=1).min()), success.shape[1], error / len(success))[0]
    high = clopper_pearson(int(held_out.sum()), len(held_out), error)[1]
    return within(float(held_out.mean()), low, high, measure.bounds)


def worst_value(values: Float[np.ndarray, "instance run"], measure: Measure, confidence: float) -> Estimate:
    """The instance with the worst mean: chosen on the first half of the runs, estimated on the second.

    The end on the worse side is the extreme empirical Bernstein bound (Maurer & Pontil 2009, theorem 4) over all
    instances, each at its share of the error, so it holds for the true worst one. It takes a range of possible values; where
    none is known, that end is what bounds the measure, which may be nothing.
    """
    losses, bounds = measure.as_loss(values), measure.loss_form.bounds
    half, error, count = losses.shape[1] // 2, (1 - confidence) / 2, losses.shape[1]
    chosen = measure.worst_first(values[:, :half].mean(axis=1, dtype=float))[0]
    held_out = mean_estimate(losses[chosen, half:].astype(float), confidence, bounds)
    high = bounds.high
    if np.isfinite(bounds.high - bounds.low):
        mean, variance = losses.mean(axis=1, dtype=float), losses.var(axis=1, ddof=1, dtype=float)
        log = float(np.log(2 * len(losses) / error))
        reach = np.sqrt(2 * variance * log / count) + 7 * (bounds.high - bounds.low) * log / (3 * (count - 1))
        high = float((mean + reach).max())
    return oriented(within(held_out.value, held_out.low, high, bounds), measure)


def oriented(losses: Estimate, measure: Measure) -> Estimate:
    """An estimate in the lower-is-better form of a measure as one of the measure itself, or the other way round."""
    value, low, high = map(measure.as_loss, losses)
    return Estimate(value, high, low) if measure.higher_is_better else losses


def losses_of(losses: Float[np.ndarray, "instance run"], confidence: float, bounds: Bounds = UNBOUNDED) -> Losses:
    """What is known of losses; a single column is a deterministic policy."""
    if losses.shape[1] == 1:
        single = exact(losses[:, 0], Measure())
        return Losses(single.average, single.p95, 0.0)
    average = mean_estimate(losses.mean(axis=0, dtype=float), confidence, bounds)
    within_instances = float(losses.var(axis=1, ddof=1, dtype=float).mean())
    return Losses(
        average,
        quantile(losses, 0.95, confidence, bounds),
        between_runs(losses.mean(axis=1, dtype=float), within_instances, losses.shape[1]),
    )


def between_runs(means: Float[np.ndarray, " instance"], within_instances: float, runs: int) -> float:
    """The share of the variance that is between runs of one instance.

    Args:
        means: of every instance over its runs.
        within_instances: the variance between runs of one instance, mean over instances.
    """
    across = max(0.0, float(means.var(ddof=1)) - within_instances / runs) if len(means) > 1 else 0.0
    return within_instances / (within_instances + across) if within_instances else 0.0


def clopper_pearson(successes: int, trials: int, error: float) -> tuple[float, float]:
    """The exact binomial interval whose either end is wrong with probability at most `error`.

    By the quantiles of the beta distribution. `scipy.stats.binomtest` searches for the same ends: in 132 cases of up to 2,000
    trials it was off by up to 3e-12, which is 5e-4 of the smallest ends, in 9 ms instead of 0.1 ms, and importing it took 2 s
    more than `special`.
    """
    from scipy import special  # half a second that `import es_randomized` should not cost

    low = special.betaincinv(successes, trials - successes + 1, error) if successes else 0.0
    high = special.betaincinv(successes + 1, trials - successes, 1 - error) if successes < trials else 1.0
    return float(low), float(high)


def mean_estimate(per_run: Float[np.ndarray, " run"], confidence: float, bounds: Bounds = UNBOUNDED) -> Estimate:
    """The mean of two runs or more with Student's interval, cut to what is possible."""
    from scipy import special

    mean, error = mean_of(per_run), standard_error(per_run)
    reach = float(special.stdtrit(len(per_run) - 1, (1 + confidence) / 2)) * error
    return within(mean, mean - reach, mean + reach, bounds)


def quantile(values: Matrix, level: float, confidence: float, bounds: Bounds) -> Estimate:
    """A quantile over instances, with a bootstrap over runs."""
    picks = resampled_weights(values.shape[1]).astype(np.float32)
    resampled = np.quantile(values.astype(np.float32) @ picks.T, level, axis=0)
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(np.quantile(values.mean(axis=1, dtype=float), level))
    return within(value, float(low), float(high), bounds)


def resampled_weights(runs: int) -> Float[np.ndarray, "resample {runs}"]:
    """What share every run has of a sample drawn with replacement, the same draws for every call."""
    return np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), size=RESAMPLES) / runs


def mean_of(values: Shaped[np.ndarray, " value"]) -> float:
    """The mean, which rounding could move past the smallest and largest value."""
    return float(np.clip(values.mean(dtype=float), values.min(), values.max()))


def standard_error(values: Float[np.ndarray, " run"]) -> float:
    """Of the mean of two values or more; exactly 0 where all are equal."""
    return float(values.std(ddof=1)) / len(values) ** 0.5 if np.ptp(values) else 0.0


def within(value: float, low: float, high: float, bounds: Bounds) -> Estimate:
    """An estimate that lies in the bounds, and in an interval that does; an end that is no number is that of the bounds."""
    low, high = (end if np.isnan(x) else x for x, end in zip((low, high), bounds, strict=True))
    value, low, high = (min(max(x, bounds.low), bounds.high) for x in (value, low, high))
    return Estimate(value, min(low, value), max(high, value))
