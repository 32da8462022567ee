"""Exact references for permutation Mastermind (arXiv:2103.02527): guess a hidden permutation of n from what agrees.

A guess is a permutation too, and its answer is the number of places that hold the right value; answer n ends the game.
The loss is the number of guesses, the right one included, and `guesses` + 1 where none of as many was right.

Relabelling the values takes any secret to any other and changes no answer. So against the worst secret nobody does better
than on average over all of them, and a randomly relabelled good strategy does as well: the best average is the randomized
value of the game. With more guesses than are ever needed:

    n    randomized value    best worst case of a fixed strategy
    2          3/2                      2
    3          5/2                      4
    4         43/12                     5
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from itertools import permutations
from math import factorial

import numpy as np
from jaxtyping import Int

LARGEST_N = 5  # 120 permutations
LARGEST_SOLVED = 4  # 0.1 s; a set of the 120 permutations of 5 has too many subsets


@cache
def codes(n: int) -> Int[np.ndarray, "code place"]:
    """All permutations of 0 .. n-1, in lexicographic order.

    Raises:
        ValueError: n is not 2 to 5.
    """
    if not 2 <= n <= LARGEST_N:
        raise ValueError(f"expected n from 2 to {LARGEST_N}, got {n}")
    return np.array(list(permutations(range(n))), np.int32)


@cache
def answers(n: int) -> Int[np.ndarray, "guess secret"]:
    """In how many places a guess and a secret agree, both numbered as `codes` has them."""
    agree: np.ndarray = codes(n)[:, None] == codes(n)[None]
    return agree.sum(axis=-1, dtype=np.int32)


@cache
def best_average(n: int, guesses: int) -> Fraction:
    """Least expected loss of any strategy, which is the randomized value of the game.

    Raises:
        ValueError: n is not 2 to 4.
    """
    return Fraction(_least(n, guesses, int.bit_count, int.bit_count, sum), factorial(n))


@cache
def best_worst_case(n: int, guesses: int) -> int:
    """Least loss of a fixed strategy on the secret that is worst for it.

    Raises:
        ValueError: n is not 2 to 4.
    """
    return _least(n, guesses, lambda secrets: 1, lambda secrets: 1, max)


@cache
def best_success(n: int, guesses: int) -> Fraction:
    """Largest probability to guess any secret within so many guesses.

    Raises:
        ValueError: n is not 2 to 4.
    """
    return 1 - Fraction(_least(n, guesses, lambda secrets: 0, int.bit_count, sum), factorial(n))


@cache
def random_fitting_guesses(n: int, guesses: int) -> Fraction:
    """Expected loss, on every secret, of whoever guesses a random one of the secrets that fit all answers so far.

    Raises:
        ValueError: n is not 2 to 4.
    """
    split, everything = _splits(n)

    @cache
    def total(secrets: int, left: int) -> Fraction:
        """The sum over these secrets of what is still lost."""
        fitting = [guess for guess in range(factorial(n)) if secrets >> guess & 1]
        if not left or not fitting:
            return Fraction(len(fitting))
        later = sum((total(rest, left - 1) for guess in fitting for rest in split(guess, secrets)), Fraction(0))
        return len(fitting) + later / len(fitting)

    return total(everything, guesses) / factorial(n)


def blind_guesses(n: int, guesses: int) -> Fraction:
    """Expected loss of whoever tries all permutations in a random order, whatever the answers."""
    every = factorial(n)
    return Fraction(sum(min(place, guesses + 1) for place in range(1, every + 1)), every)


def _least(
    n: int,
    guesses: int,
    cost: Callable[[int], int],
    missed: Callable[[int], int],
    combine: Callable[[Iterable[int]], int],
) -> int:
    """The least total loss, by dynamic programming over the sets of secrets that fit all answers, as bits.

    Args:
        cost: of one guess, of the set it was made for.
        missed: what is lost of a set when there is no guess left.
        combine: the losses of the sets that one guess leaves, by its answers.
    """
    split, everything = _splits(n)

    @cache
    def least(secrets: int, left: int) -> int:
        if not left or not secrets:
            return missed(secrets) if secrets else 0
        first = range(1) if secrets == everything else range(factorial(n))  # all first guesses are alike
        return cost(secrets) + min(
            combine([least(rest, left - 1) for rest in split(guess, secrets)]) for guess in first
        )

    return least(everything, guesses)


def _splits(n: int) -> tuple[Callable[[int, int], list[int]], int]:
    """How a guess parts a set of secrets by its answers, without the one that it found; and the set of all."""
    if n > LARGEST_SOLVED:
        raise ValueError(f"expected n from 2 to {LARGEST_SOLVED}, got {n}")
    masks = [
        [sum(1 << int(secret) for secret in np.flatnonzero(row == answer)) for answer in range(n - 1)]
        for row in answers(n)
    ]
    return lambda guess, secrets: [secrets & mask for mask in masks[guess]], (1 << factorial(n)) - 1
