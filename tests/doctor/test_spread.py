"""Ties, spread and pairs of losses, on numbers worked out by hand."""

import numpy as np
import pytest

from es_randomized.doctor.spread import correlation, pair_correlation, spread_of, tied_share

NAN = float("nan")


def test_members_that_share_their_loss():
    assert tied_share(np.array([1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0])) == 5 / 8
    assert tied_share(np.arange(4.0)) == 0
    assert tied_share(np.ones(4)) == 1


def test_antithetic_pairs_on_a_slope_a_hill_and_neither():
    steps = np.array([0.3, -1.0, 2.0, 0.1])
    slope, hill = np.concatenate([steps, -steps]), np.concatenate([steps**2, steps**2])
    assert pair_correlation(slope) == pytest.approx(-1)
    assert pair_correlation(hill) == pytest.approx(1)
    both = 2 * np.concatenate([steps, -steps]) + hill
    assert pair_correlation(both) == pytest.approx(np.corrcoef(2 * steps + steps**2, -2 * steps + steps**2)[0, 1])
    assert pair_correlation(np.ones(8)) is None
    assert pair_correlation(np.array([1.0, 2.0, 5.0, NAN, 4.0, 2.0, 1.0, 7.0])) == pytest.approx(
        np.corrcoef([1, 2, 5], [4, 2, 1])[0, 1]
    )


def test_a_correlation_needs_three_values():
    assert correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None


def test_the_spread_of_some_generations():
    losses = np.array([[1, 2, 3, 4], [5, 5, 9, NAN]], np.float32)
    found = spread_of(losses, antithetic=False)
    assert found.level == pytest.approx((2.5 + 19 / 3) / 2)
    assert found.spread == pytest.approx((np.sqrt(1.25) + np.sqrt(32 / 9)) / 2)
    assert found.not_finite == pytest.approx(1 / 8)
    assert found.tied == pytest.approx((0 + 2 / 3) / 2)
    assert found.pairs is None
