"""Intervals cover the truth as often as they say, checked by simulation; the worst instance is estimated without bias."""

import numpy as np
import pytest
from scipy import stats

from es_randomized.evaluation.statistics import (
    clopper_pearson,
    exact,
    levels,
    losses_of,
    worst_success,
)
from es_randomized.tasks.measure import SUCCESS, Bounds, Measure

CHANCES = np.linspace(0.2, 0.9, 40)


def simulated(chances, samples, seed, shared=0.0):
    """Successes [instance, sample]; with `shared` > 0 all instances of a sample depend on one luck."""
    generator = np.random.default_rng(seed)
    luck = generator.normal(size=(1, samples)) * shared**0.5
    own = generator.normal(size=(len(chances), samples)) * (1 - shared) ** 0.5
    return luck + own < stats.norm.ppf(chances)[:, None]


# The exact binomial interval


@pytest.mark.parametrize(("trials", "error"), [(10, 0.025), (50, 0.05), (50, 0.001)])
@pytest.mark.parametrize("chance", [0.03, 0.5, 0.9])
def test_either_end_is_wrong_at_most_as_often_as_stated(trials, error, chance):
    """Exactly, by summing the binomial over all possible counts."""
    intervals = np.array([clopper_pearson(count, trials, error) for count in range(trials + 1)])
    weights = stats.binom.pmf(np.arange(trials + 1), trials, chance)
    assert weights[intervals[:, 0] > chance].sum() <= error
    assert weights[intervals[:, 1] < chance].sum() <= error


def test_the_exact_interval_has_the_published_form():
    low, high = clopper_pearson(7, 20, 0.025)
    assert stats.binom.sf(6, 20, low) == pytest.approx(0.025, rel=1e-6)
    assert stats.binom.cdf(7, 20, high) == pytest.approx(0.025, rel=1e-6)
    assert clopper_pearson(0, 20, 0.025)[0] == 0
    assert clopper_pearson(20, 20, 0.025)[1] == 1
    assert clopper_pearson(0, 20, 0.025)[1] == pytest.approx(1 - 0.025 ** (1 / 20))


# Rates over instances


def coverage(name, truth, repeats, samples, shared, confidence=0.9):
    estimates = [
        getattr(levels(simulated(CHANCES, samples, seed, shared), SUCCESS, confidence), name) for seed in range(repeats)
    ]
    return np.mean([estimate.low <= truth <= estimate.high for estimate in estimates])


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_the_interval_of_the_average_covers_it_although_instances_share_their_luck(shared):
    found = coverage("average", CHANCES.mean(), 200, 60, shared)
    assert 0.9 - 4 * np.sqrt(0.09 / 200) <= found <= 0.98


def test_resampling_cases_instead_of_samples_would_not_cover():
    """The same simulation against the interval that takes all cases for independent: the test above can fail."""
    covered = []
    for seed in range(200):
        success = simulated(CHANCES, 60, seed, 0.6)
        low, high = clopper_pearson(int(success.sum()), success.size, 0.05)
        covered.append(low <= CHANCES.mean() <= high)
    assert np.mean(covered) < 0.5


def test_the_interval_of_the_worst_five_percent_covers_it():
    """It is a bootstrap of a biased plug-in, so it is held to less than its nominal 90 %."""
    found = coverage("p95", np.quantile(CHANCES, 0.05), 100, 300, 0.3)
    assert found >= 0.75


def test_values_are_the_plain_fractions():
    success = simulated(CHANCES, 50, 3)
    found = levels(success, SUCCESS, 0.95)
    assert found.average.value == pytest.approx(success.mean())
    assert found.p95.value == pytest.approx(np.quantile(success.mean(axis=1), 0.05))
    for estimate in found:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_certain_outcomes_have_an_average_without_spread():
    assert levels(np.ones((3, 8), bool), SUCCESS, 0.95).average == (1, 1, 1)
    assert levels(np.zeros((3, 8), bool), SUCCESS, 0.95).average == (0, 0, 0)


# The worst instance


def test_the_minimum_is_biased_and_the_split_estimate_is_not():
    """All instances succeed at the same rate 1/2, so that is also the truth for the worst one."""
    chances, repeats, samples = np.full(50, 0.5), 400, 40
    matrices = [simulated(chances, samples, seed) for seed in range(repeats)]
    naive = np.mean([success.mean(axis=1).min() for success in matrices])
    split = np.mean([worst_success(success, SUCCESS, 0.95).value for success in matrices])
    assert naive < 0.4
    assert split == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / (samples // 2) / repeats))


@pytest.mark.parametrize("chances", [np.full(30, 0.5), np.linspace(0.3, 0.9, 30)], ids=["equal", "spread"])
def test_the_interval_of_the_worst_instance_covers_the_true_minimum(chances):
    estimates = [worst_success(simulated(chances, 60, seed, 0.3), SUCCESS, 0.9) for seed in range(200)]
    assert np.mean([e.low <= chances.min() <= e.high for e in estimates]) >= 0.9
    assert all(e.low <= e.value <= e.high for e in estimates)


def test_the_worst_instance_is_found_and_estimated_on_the_other_half():
    success = np.ones((4, 10), bool)
    success[2, :5] = False  # the worst on the first half, perfect on the second
    success[3, 5:] = False
    found = worst_success(success, SUCCESS, 0.95)
    assert found.value == 1
    assert found.high == 1
    assert found.low == pytest.approx(clopper_pearson(5, 10, 0.025 / 4)[0])


# Losses: sums of ten coins on a scale of 0 to 8, so that the true means are known

MEANS = 8 * np.linspace(0.1, 0.6, 30)
COINS = Measure("loss", "coins", Bounds(0.0, 8.0))


def losses(means, samples, seed):
    """Losses [instance, sample] between 0 and 8."""
    return 0.8 * np.random.default_rng(seed).binomial(10, means[:, None] / 8, (len(means), samples))


def test_intervals_of_losses_cover_the_truth():
    found = [levels(losses(MEANS, 40, seed), COINS, 0.9) for seed in range(200)]
    average = np.mean([f.average.low <= MEANS.mean() <= f.average.high for f in found])
    assert 0.9 - 4 * np.sqrt(0.09 / 200) <= average <= 0.98
    assert np.mean([f.worst.low <= MEANS.max() for f in found]) >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean([f.worst.high >= MEANS.max() for f in found]) >= 0.95
    assert all(e.low <= e.value <= e.high <= 8 for f in found for e in f)


def test_the_worst_loss_is_estimated_without_bias_where_the_largest_mean_is_too_large():
    """All instances have the same mean loss 4, so that is also the truth for the worst one."""
    matrices = [losses(np.full(50, 4.0), 40, seed) for seed in range(200)]
    split = np.mean([levels(matrix, COINS, 0.95).worst.value for matrix in matrices])
    assert np.mean([matrix.mean(axis=1).max() for matrix in matrices]) > 4.3
    assert split == pytest.approx(4, abs=4 * np.sqrt(1.6 / 20 / 200))


def test_the_upper_end_of_the_worst_loss_is_the_published_bound():
    """One instance: Maurer & Pontil (2009), theorem 4, for losses divided by their range."""
    sample = losses(np.array([3.0]), 50, 1)
    unit, log = sample[0] / 8, np.log(2 / 0.05)
    bound = unit.mean() + np.sqrt(2 * unit.var(ddof=1) * log / 50) + 7 * log / (3 * 49)
    assert levels(sample, COINS, 0.9).worst.high == pytest.approx(8 * bound)


def test_losses_that_are_failures_have_the_mirrored_rates_of_successes():
    success = simulated(CHANCES, 50, 3)
    found, mirror = levels(1.0 - success, SUCCESS.loss_form, 0.95), levels(success, SUCCESS, 0.95)
    for name in ("average", "p95"):
        low, high = getattr(mirror, name)[1:]
        assert getattr(found, name)[1:] == pytest.approx((1 - high, 1 - low), abs=1e-6)
    assert [1 - estimate.value for estimate in found] == pytest.approx([estimate.value for estimate in mirror])


def test_a_deterministic_policy_has_exact_rates_at_an_instance():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert [estimate.value for estimate in exact(values, SUCCESS)] == [50.5, 5, 1]
    assert [estimate.value for estimate in exact(values, COINS)] == [50.5, 96, 100]
    assert all(e.low == e.value == e.high for e in exact(values, SUCCESS))
    assert levels(values[:, None], COINS, 0.95) == exact(values, COINS)


# Losses of any size


def simulated_losses(samples, seed, noise):
    """Losses [instance, sample] around means of variance 4."""
    generator = np.random.default_rng(seed)
    means = generator.normal(10, 2, (3000, 1))
    return means + generator.normal(0, noise, (3000, samples)) if noise else np.repeat(means, samples, axis=1)


@pytest.mark.parametrize("samples", [2, 5, 50])
@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0])
def test_the_share_of_variance_between_runs_does_not_depend_on_their_number(samples, noise):
    shares = [losses_of(simulated_losses(samples, seed, noise), 0.95).between_runs for seed in range(5)]
    assert np.mean(shares) == pytest.approx(noise**2 / (noise**2 + 4), abs=0.02)


def test_losses_without_a_bound_have_their_mean_and_quantile():
    losses = simulated_losses(50, 0, 1.0)
    found = losses_of(losses, 0.95)
    assert found.average.value == pytest.approx(losses.mean())
    assert found.average.low < found.average.value < found.average.high < np.inf
    assert found.p95.value == pytest.approx(np.quantile(losses.mean(axis=1), 0.95))
    alone = losses_of(losses[:, :1], 0.95)
    assert alone.average == pytest.approx([losses[:, 0].mean()] * 3)
    assert alone.between_runs == 0
