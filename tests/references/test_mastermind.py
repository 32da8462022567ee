"""Permutation Mastermind against every strategy there is for three values, played in full, and the paper's numbers for four."""

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest

from es_randomized.references import mastermind
from es_randomized.references.games import solve

LONG = 9  # guesses, more than are ever needed


def agreeing(guess, secret):
    return sum(a == b for a, b in zip(guess, secret, strict=True))


def rows(n, guesses):
    """The losses, secret by secret, of all fixed strategies for permutations of n (those that lose the same once)."""
    every = list(permutations(range(n)))

    def after(left, secrets):
        """Losses still to come of the strategies for what is left, as dictionaries by secret made tuples."""
        if not secrets or not left:
            return {tuple((secret, 1) for secret in secrets)}
        found = set()
        for guess in every:
            by_answer = [[s for s in secrets if agreeing(guess, s) == answer] for answer in range(n)]
            for parts in product(*(after(left - 1, part) for part in by_answer)):
                later = {secret: 1 + loss for part in parts for secret, loss in part}
                found.add(tuple(sorted({**later, **({guess: 1} if guess in secrets else {})}.items())))
        return found

    return np.array(sorted({tuple(loss for _, loss in row) for row in after(guesses, every)}), float)


@pytest.mark.parametrize(("n", "guesses"), [(2, 1), (2, 3), (3, 2), (3, 4)])
def test_the_values_are_those_of_the_game_of_all_strategies(n, guesses):
    matrix = rows(n, guesses)
    assert float(mastermind.best_average(n, guesses)) == pytest.approx(matrix.mean(axis=1).min())
    assert float(mastermind.best_average(n, guesses)) == pytest.approx(solve(matrix).value)
    assert mastermind.best_worst_case(n, guesses) == matrix.max(axis=1).min()
    assert float(mastermind.best_success(n, guesses)) == pytest.approx((matrix <= guesses).mean(axis=1).max())


def test_the_values_of_the_paper():
    assert [mastermind.best_average(n, LONG) for n in (2, 3, 4)] == [Fraction(3, 2), Fraction(5, 2), Fraction(43, 12)]
    assert [mastermind.best_worst_case(n, LONG) for n in (2, 3, 4)] == [2, 4, 5]
    chances = [mastermind.best_success(4, guesses) for guesses in (1, 2, 3, 4, 5)]
    assert chances == [Fraction(1, 24), Fraction(1, 6), Fraction(11, 24), Fraction(5, 6), 1]


@pytest.mark.parametrize("n", [3, 4])
def test_random_guesses_that_fit_need_as_many_as_when_played(n):
    generator, every, games = np.random.default_rng(0), list(permutations(range(n))), 4000
    made = []
    for _ in range(games):
        secret, fitting, count = every[generator.integers(len(every))], every, 0
        while True:
            guess, count = fitting[generator.integers(len(fitting))], count + 1
            if guess == secret:
                break
            fitting = [code for code in fitting if agreeing(guess, code) == agreeing(guess, secret)]
        made.append(count)
    assert np.mean(made) == pytest.approx(float(mastermind.random_fitting_guesses(n, LONG)), abs=4 * np.std(made) / 63)


def test_blind_guesses_are_the_mean_place_of_the_secret():
    assert mastermind.blind_guesses(3, 6) == Fraction(1 + 2 + 3 + 4 + 5 + 6, 6)
    assert mastermind.blind_guesses(3, 2) == Fraction(1 + 2 + 3 * 4, 6)


@pytest.mark.parametrize("n", [1, 6])
def test_other_sizes_are_refused(n):
    with pytest.raises(ValueError, match=f"expected n from 2 to 5, got {n}"):
        mastermind.codes(n)
    with pytest.raises(ValueError, match="expected n from 2 to 4, got 5"):
        mastermind.best_average(5, 3)
