"""What small memories recall, against enumeration of everything that can happen."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from es_randomized.references.recall import (
    linear_readout_error,
    one_bit_majority,
    pooled_random_stores,
    random_store,
)


def majority(bits, tie):
    return tie if 2 * sum(bits) == len(bits) else int(2 * sum(bits) > len(bits))


@pytest.mark.parametrize("tie", [0, 1])
@pytest.mark.parametrize("n", [3, 4, 5])
def test_one_bit_recalls_every_query_of_every_store_as_often_as_stated(n, tie):
    """Over all random strings: store the majority of store xor string, answer it xor the string's bit."""
    strings = list(product((0, 1), repeat=n))
    for store in strings:
        right = np.zeros(n, int)
        for string in strings:
            memory = majority([a ^ b for a, b in zip(store, string, strict=True)], tie)
            right += [memory ^ string[query] == store[query] for query in range(n)]
        assert set(right.tolist()) == {one_bit_majority(n) * 2**n}


@pytest.mark.parametrize(("k", "n", "values"), [(0, 3, 2), (2, 4, 3), (1, 5, 4), (3, 3, 2)])
def test_random_stores_recall_every_query_as_often_as_stated(k, n, values):
    """Over all choices of k pairs and all guesses, for a query whose value is 0."""
    subsets = list(combinations(range(n), k))
    for query in range(n):
        right = sum(query in kept or guess == 0 for kept in subsets for guess in range(values))
        assert random_store(k, n, values) == pytest.approx(float(Fraction(right, len(subsets) * values)), abs=1e-12)


@pytest.mark.parametrize("k", [-1, 4])
def test_no_more_pairs_can_be_stored_than_there_are(k):
    with pytest.raises(ValueError, match=f"k is {k} and n is 3"):
        random_store(k, 3, 2)


def worst_error(write, read):
    """Worst query's mean squared error when n independent unit-variance values are read back as read @ write @ values."""
    return ((np.eye(write.shape[1]) - read @ write) ** 2).sum(axis=1).max()


@pytest.mark.parametrize(("d", "n"), [(1, 4), (2, 4), (3, 5)])
def test_no_linear_memory_errs_less_than_stated(d, n):
    generator = np.random.default_rng(0)
    for _ in range(200):
        write = generator.normal(size=(d, n))
        best_read = write.T @ np.linalg.inv(write @ write.T)  # least squares for these numbers
        assert worst_error(write, best_read) >= linear_readout_error(d, n) - 1e-12


def test_a_linear_memory_that_treats_all_values_alike_errs_as_little_as_stated():
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    for d in range(5):
        write = signs[:d]
        assert worst_error(write, write.T) == pytest.approx(linear_readout_error(d, 4))


@pytest.mark.parametrize(("runs", "k", "n", "values"), [(1, 1, 3, 2), (2, 1, 3, 4), (3, 2, 4, 2), (2, 0, 3, 5)])
def test_pooled_stores_know_what_any_of_them_kept(runs, k, n, values):
    """Over all subsets that the runs may keep: the query 0 is known where any of them has it, and else guessed."""
    choices = list(product(combinations(range(n), k), repeat=runs))
    known = sum(any(0 in kept for kept in stores) for stores in choices)
    exact = Fraction(known, len(choices)) + Fraction(len(choices) - known, len(choices) * values)
    assert pooled_random_stores(runs, k, n, values) == pytest.approx(float(exact), abs=1e-12)
