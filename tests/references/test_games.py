"""Matrix games with known solutions, the double oracle, and exact rational solutions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_randomized.references.games import double_oracle, rational, solve

PENNIES = np.array([[0, 1], [1, 0]])
ROCK_PAPER_SCISSORS = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
WEIGHTED = np.array([[0, 2, -3], [-2, 0, 1], [3, -1, 0]])  # antisymmetric: mixture (1, 3, 2) / 6


@pytest.mark.parametrize(
    ("matrix", "value", "mixture", "hard"),
    [
        (PENNIES, 1 / 2, [1 / 2] * 2, [1 / 2] * 2),
        (ROCK_PAPER_SCISSORS, 0, [1 / 3] * 3, [1 / 3] * 3),
        (WEIGHTED, 0, [1 / 6, 1 / 2, 1 / 3], [1 / 6, 1 / 2, 1 / 3]),
        ([[1, 3], [4, 2]], 5 / 2, [1 / 2, 1 / 2], [1 / 4, 3 / 4]),
        ([[3, 5], [4, 6]], 5, [1, 0], [0, 1]),
        ([[7]], 7, [1], [1]),
        (1 - np.eye(5), 4 / 5, [1 / 5] * 5, [1 / 5] * 5),
    ],
)
def test_known_games(matrix, value, mixture, hard):
    found = solve(np.array(matrix))
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.mixture == pytest.approx(mixture, abs=1e-9)
    assert found.hard == pytest.approx(hard, abs=1e-9)


def _games():
    entry = st.integers(-20, 20)
    shape = st.tuples(st.integers(1, 6), st.integers(1, 6))
    return shape.flatmap(lambda s: st.lists(entry, min_size=s[0] * s[1], max_size=s[0] * s[1]).map(_shaped(s)))


def _shaped(shape):
    return lambda entries: np.array(entries).reshape(shape)


@settings(max_examples=40, deadline=None)
@given(_games())
def test_both_sides_guarantee_the_value(matrix):
    found = solve(matrix)
    assert found.mixture.sum() == pytest.approx(1)
    assert found.hard.sum() == pytest.approx(1)
    assert min(*found.mixture, *found.hard) >= 0
    assert (found.mixture @ matrix).max() == pytest.approx(found.value, abs=1e-8)
    assert (matrix @ found.hard).min() == pytest.approx(found.value, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(_games())
def test_double_oracle_agrees_with_the_whole_matrix(matrix):
    def respond(hard):
        best = (matrix @ hard).argmin()
        return matrix[best], matrix[best] @ hard

    found = double_oracle(respond, matrix[:1])
    assert found.lower - 1e-8 <= solve(matrix).value <= found.upper + 1e-8
    assert found.upper - found.lower <= 1e-7
    assert (found.mixture @ found.rows).max() == pytest.approx(found.upper, abs=1e-8)
    assert (matrix @ found.hard).min() == pytest.approx(found.lower, abs=1e-8)
    assert len(found.rows) == len(found.mixture) <= len(matrix) + 1


def test_double_oracle_notices_a_wrong_response():
    with pytest.raises(ArithmeticError, match="repeats a row"):
        double_oracle(lambda hard: (np.array([0.0, 1.0]), -1.0), np.array([[0.0, 1.0]]))


def test_rational_solution_is_exact():
    found = solve(WEIGHTED)
    mixture, hard = rational(WEIGHTED, found.mixture, found.hard)
    assert mixture == hard == [Fraction(1, 6), Fraction(1, 2), Fraction(1, 3)]


@pytest.mark.parametrize(
    ("mixture", "message"),
    [([1.0, 0.0, 0.0], None), ([0.5, 0.5, 0.0], "contradict|no solution|determine")],
)
def test_rational_solution_follows_from_the_support_only(mixture, message):
    matrix = np.array([[1, 1], [0, 2], [2, 0]])
    if message is None:
        assert rational(matrix, np.array(mixture), np.array([0.5, 0.5]))[0] == [1, 0, 0]
    else:
        with pytest.raises(ArithmeticError, match=message):
            rational(np.array([[0, 3], [1, 3], [2, 0]]), np.array(mixture), np.array([0.5, 0.5]))


@pytest.mark.parametrize("matrix", [[[]], [[1, np.nan]], [[np.inf, 1]]])
def test_solve_rejects_what_is_no_game(matrix):
    with pytest.raises(ValueError, match="finite matrix"):
        solve(np.array(matrix))
