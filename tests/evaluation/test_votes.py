"""Votes against plain counting, the binomial distribution and 1 - (1 - p)^k."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from es_randomized.evaluation.votes import best_of, majority


def counted(answers, right, k):
    """The vote of every whole group of k, by counting; of equally frequent answers the smallest wins."""
    rows = []
    for row in answers:
        groups = [row[start : start + k] for start in range(0, len(row) - k + 1, k)]
        winners = [min(Counter(g).items(), key=lambda item: (-item[1], item[0]))[0] for g in groups]
        rows.append([winner in right for winner in winners])
    return rows


def random_answers(shape, largest, seed=0):
    return np.random.default_rng(seed).integers(0, largest, shape).astype(np.int32)


@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(2, 5))
def test_votes_equal_counting(seed, k, largest):
    answers = random_answers((4, 17), largest, seed)
    right = {0, largest - 1} if seed % 2 else {1}
    found = majority(answers, np.isin(answers, list(right)), k)
    assert found.tolist() == counted(answers.tolist(), right, k)


def test_the_smallest_of_equally_frequent_answers_wins_whether_or_not_it_is_right():
    answers = np.array([[5, 3, 3, 5], [2, 9, 9, 2], [7, 1, 4, 6]], np.int32)
    assert majority(answers, answers == 5, 4).tolist() == [[False], [False], [False]]
    assert majority(answers, np.isin(answers, [3, 2, 1]), 4).tolist() == [[True], [True], [True]]


def test_answers_that_wrapped_around_to_negative_numbers_are_counted_too():
    answers = np.array([[-(2**31), 2**31 - 1, 2**31 - 1], [-5, -5, 3]], np.int32)
    assert majority(answers, answers > 0, 3).tolist() == [[True], [False]]


def test_more_instances_than_fit_one_block_are_all_voted_on():
    answers = random_answers((20_000, 3), 2)
    np.testing.assert_array_equal(majority(answers, answers == 1, 3)[:, 0], answers.sum(axis=1) >= 2)


@pytest.mark.parametrize(("chance", "k"), [(0.6, 5), (0.6, 21), (0.4, 9)])
def test_votes_between_two_answers_follow_the_binomial(chance, k):
    votes = 20_000
    success = np.random.default_rng(1).uniform(size=(1, votes * k)) < chance
    found = majority(success.astype(np.int32), success, k)
    exact = stats.binom.sf(k // 2, k, chance)
    assert found.shape == (1, votes)
    assert found.mean() == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / votes))


@pytest.mark.parametrize(("chance", "k"), [(0.1, 5), (0.3, 2), (0.02, 30)])
def test_the_best_of_k_succeeds_as_often_as_one_of_k_does(chance, k):
    groups = 10_000
    success = np.random.default_rng(2).uniform(size=(2, groups * k + k - 1)) < chance
    found = best_of(success, k)
    exact = 1 - (1 - chance) ** k
    assert found.shape == (2, groups)
    assert found.mean(axis=1) == pytest.approx([exact] * 2, abs=4 * np.sqrt(exact * (1 - exact) / groups))


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_best_of_k_is_any_of_each_group(seed, k):
    success = random_answers((3, 13), 2, seed) == 1
    expected = [[any(row[start : start + k]) for start in range(0, 13 - k + 1, k)] for row in success.tolist()]
    assert best_of(success, k).tolist() == expected
