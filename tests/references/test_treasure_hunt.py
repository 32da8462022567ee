"""Exact treasure hunts against known values, proofs in exact arithmetic, and brute force over all walks."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from es_randomized.references import games
from es_randomized.references.treasure_hunt import (
    Hunt,
    best_average,
    best_walk,
    best_worst_case,
    certify,
    first_visit,
    losses,
    randomized,
)

STEP = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}


def _value(hunt):
    found = randomized(hunt)
    lower, upper = certify(hunt, found)
    assert lower == upper == pytest.approx(found.upper, abs=1e-6)
    assert found.lower == pytest.approx(found.upper, abs=1e-6)
    return upper


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "steps", "value", "average", "worst"),
    [
        (3, 10, 8, Fraction(27, 4), 10),
        (4, 18, Fraction(278, 23), Fraction(56, 5), 16),
        (5, 25, Fraction(52, 3), Fraction(50, 3), 26),
    ],
)
def test_two_episodes(size, steps, value, average, worst):
    hunt = Hunt(size, size, steps)
    assert _value(hunt) == value
    assert best_average(hunt) == average
    assert best_worst_case(hunt) == worst


@pytest.mark.parametrize(
    ("rows", "columns", "value", "worst"), [(2, 2, 2, 3), (2, 3, 3, 5), (3, 3, 5, 8), (2, 5, 5, 9), (3, 4, 6, 11)]
)
def test_first_visit(rows, columns, value, worst):
    hunt = first_visit(rows, columns)
    assert _value(hunt) == value
    assert best_worst_case(hunt) == worst


@pytest.mark.parametrize(
    ("size", "start", "probabilities"),
    [
        (3, (0, 0), {4: "1/2", 6: "3/4", 8: "1"}),
        (3, (1, 1), {2: "1/4", 4: "1/2", 6: "3/4", 8: "1"}),
        (4, (0, 0), {6: "1/3", 8: "1/2", 9: "4/7", 10: "5/8"}),
    ],
)
def test_success_within_a_number_of_steps(size, start, probabilities):
    found = {steps: 1 - _value(Hunt(size, size, steps, 1, start, success=True)) for steps in probabilities}
    assert found == {steps: Fraction(p) for steps, p in probabilities.items()}


def test_seekers_of_the_five_by_five_grid_lose_52_thirds_to_the_even_cells():
    hunt = Hunt(5, 5, 25)
    loss, walk = best_walk(hunt, np.array([(row + column) % 2 == 0 for row, column in hunt.inputs], dtype=int))
    assert Fraction(int(loss), 12) == Fraction(52, 3)
    assert len(walk) == 24


def _arrivals(hunt):
    """For every walk of one episode, standing still included, the first visit to each input (None without)."""
    found = {(hunt.start, (None,) * len(hunt.inputs))}
    for step in range(1, hunt.steps + 1):
        moved = set()
        for ((row, column), visits), (down, right) in product(found, STEP.values()):
            cell = (row + down, column + right)
            if cell not in [hunt.start, *hunt.inputs]:
                cell = (row, column)
            fresh = (step if x == cell and seen is None else seen for x, seen in zip(hunt.inputs, visits, strict=True))
            moved.add((cell, tuple(fresh)))
        found = moved
    return {visits for _, visits in found}


def _every_row(hunt):
    """Losses of all deterministic seekers."""
    arrivals, limit = _arrivals(hunt), hunt.steps
    if hunt.episodes == 1:
        return {tuple(limit if t is None else t for t in visits) for visits in arrivals}
    distance = [min(t for t in times if t) for times in zip(*arrivals, strict=True)]
    pairs = product(arrivals, arrivals)
    return {
        tuple(t + d if t else limit + (again or limit) for t, again, d in zip(first, second, distance, strict=True))
        for first, second in pairs
    }


@pytest.mark.parametrize(
    "hunt",
    [
        *(Hunt(2, 2, steps) for steps in (2, 3, 4)),
        *(Hunt(2, 3, steps) for steps in (3, 4, 5)),
        Hunt(2, 3, 3, start=(0, 1)),
        Hunt(1, 4, 4, start=(0, 1)),
        Hunt(3, 3, 5, obstacles=frozenset({(1, 1), (0, 2)})),
        Hunt(3, 3, 2, start=(1, 1), obstacles=frozenset({(0, 0), (2, 1)})),
        *(Hunt(2, 3, steps, episodes=1) for steps in (3, 4, 7)),
        Hunt(3, 3, 5, episodes=1, obstacles=frozenset({(1, 1)})),
    ],
    ids=str,
)
def test_every_walk_of_a_tiny_grid(hunt):
    rows = np.array(sorted(_every_row(hunt)))
    assert best_average(hunt) == Fraction(int(rows.sum(axis=1).min()), rows.shape[1])
    assert best_worst_case(hunt) == rows.max(axis=1).min()
    undominated = rows[[not ((rows <= row).all(axis=1) & (rows < row).any(axis=1)).any() for row in rows]]
    assert _value(hunt) == pytest.approx(games.solve(undominated).value, abs=1e-8)


def test_best_walks_answer_random_weights():
    hunt, rng = Hunt(2, 3, 4), np.random.default_rng(0)
    rows = np.array(list(_every_row(hunt)))
    for weights in rng.dirichlet(np.full(5, 0.3), size=40):
        loss, walk = best_walk(hunt, weights)
        assert loss == pytest.approx((rows @ weights).min(), abs=1e-8)
        assert losses(hunt, walk) @ weights == pytest.approx(loss, abs=1e-8)


def test_the_second_episode_begins_at_the_start():
    hunt = Hunt(1, 5, 3, start=(0, 1))
    assert losses(hunt, "RRRL").tolist() == [3 + 1, 1 + 1, 2 + 2, 3 + 3]
    assert losses(hunt, "LRRRRR").tolist() == [1 + 1, 3 + 1, 3 + 2, 3 + 3]


def test_losses_of_a_walk_count_steps():
    assert losses(Hunt(2, 2, 4), "").tolist() == [8, 8, 8]
    assert losses(Hunt(2, 2, 4), "URDL").tolist() == [2 + 1, 4 + 1, 3 + 2]
    assert losses(Hunt(2, 2, 2, episodes=1, success=True), "DR").tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Hunt(3, 3, 0), "steps >= 1, got 2 of 0"),
        (lambda: Hunt(3, 3, 9, episodes=3), "1 or 2 episodes"),
        (lambda: Hunt(3, 3, 9, start=(3, 0)), r"start \(3, 0\)"),
        (lambda: Hunt(3, 3, 9, obstacles=frozenset({(0, 0)})), r"start \(0, 0\)"),
        (lambda: Hunt(1, 1, 9), "2..56 free cells"),
        (lambda: Hunt(8, 8, 99), "2..56 free cells"),
        (lambda: Hunt(3, 3, 3), "within 3 steps"),
        (lambda: Hunt(1, 3, 9, obstacles=frozenset({(0, 1)})), "within 9 steps"),
        (lambda: losses(Hunt(2, 2, 4), "UX"), "walk over UDLR, got 'UX'"),
        (lambda: best_walk(Hunt(2, 2, 4), np.zeros(3)), "3 weights >= 0"),
        (lambda: best_walk(Hunt(2, 2, 4), np.ones(4)), "3 weights >= 0"),
        (lambda: best_walk(Hunt(2, 2, 4), np.array([1, -1, 1])), "3 weights >= 0"),
    ],
)
def test_invalid_arguments_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
