"""Exact colouring references against published values and brute-force twins."""

from fractions import Fraction
from functools import cache
from itertools import combinations, permutations, product
from math import prod

import pytest

from es_randomized.references.colouring import (
    deterministic_two_rounds,
    one_shot,
    sequential_recolouring_steps,
    trial_colouring,
)


def _proper(colours):
    return all(colours[i] != colours[i - 1] for i in range(len(colours)))


@pytest.mark.parametrize("n", [3, 4, 5, 6])
@pytest.mark.parametrize("colours", [1, 2, 3, 4])
def test_one_shot_counts_proper_colourings(n, colours):
    proper = sum(map(_proper, product(range(colours), repeat=n)))
    assert one_shot(n, colours) == pytest.approx(proper / colours**n, abs=1e-15)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (3, (0.22222, 0.58025, 0.78669, 0.89297)),
        (5, (0.12346, 0.47630, 0.74046, 0.87785)),
        (7, (0.05761, 0.37744, 0.68843, 0.85951)),
    ],
)
def test_trial_colouring_has_the_known_values(n, expected):
    found = [trial_colouring(n, rounds) for rounds in range(1, 5)]
    assert found == pytest.approx(expected, abs=5e-6)


@cache
def _enumerated(state, rounds):
    """Finishing probability by enumerating the picks of all nodes; None is uncoloured."""
    if None not in state:
        return Fraction(1)
    if rounds == 0:
        return Fraction(0)
    n = len(state)
    ends = [(state[i - 1], state[(i + 1) % n]) for i in range(n)]
    choices = [[c for c in range(3) if c not in ends[i]] if state[i] is None else [state[i]] for i in range(n)]
    total = Fraction(0)
    for picks in product(*choices):
        kept = (picks[i] not in (picks[i - 1], picks[(i + 1) % n]) for i in range(n))
        after = tuple(pick if keep else None for pick, keep in zip(picks, kept, strict=True))
        total += _enumerated(after, rounds - 1)
    return total / prod(map(len, choices))


@pytest.mark.parametrize(("n", "rounds"), [(3, 4), (4, 4), (5, 4), (6, 3), (7, 2), (8, 1)])
def test_trial_colouring_matches_enumeration(n, rounds):
    expected = float(_enumerated((None,) * n, rounds))
    assert trial_colouring(n, rounds) == pytest.approx(expected, abs=1e-15)


def test_trial_colouring_starts_unfinished_and_respects_the_union_bound():
    for n in (3, 10, 12, 40):
        found = [trial_colouring(n, rounds) for rounds in range(7)]
        assert found[0] == 0
        assert found[1] == pytest.approx(one_shot(n, 3))
        assert all(p >= 1 - n * (7 / 12) ** rounds for rounds, p in enumerate(found))
        assert found == sorted(found)


@pytest.mark.parametrize(("n", "steps"), [(3, 5 / 2), (4, 3.1), (5, 469 / 120), (6, 4.687513), (7, 5.469324)])
def test_sequential_recolouring_has_the_known_values(n, steps):
    assert sequential_recolouring_steps(n) == pytest.approx(steps, abs=5e-7)


def test_two_rounds_properly_colour_every_view_of_ten_identifiers():
    colour = {view: deterministic_two_rounds(view) for view in permutations(range(1, 11), 5)}
    assert len(colour) == 2 * 15120
    assert set(colour.values()) == {0, 1, 2}
    assert all(colour[view] == colour[view[::-1]] for view in colour)
    assert all(
        colour[view] != colour[*view[1:], node] for view in colour for node in set(range(1, 11)).difference(view)
    )


@pytest.mark.long
@pytest.mark.parametrize("n", [3, 4, 5])
def test_two_rounds_properly_colour_short_cycles_of_twelve_identifiers(n):
    for ids in combinations(range(1, 13), n):
        for rest in permutations(ids[1:]):
            cycle = ids[:1] + rest
            views = [tuple(cycle[(i + d) % n] for d in range(-2, 3)) for i in range(n)]
            assert _proper([deterministic_two_rounds(view) for view in views])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_shot(2, 3), "n >= 3, got n = 2"),
        (lambda: one_shot(3, 0), "colours >= 1, got colours = 0"),
        (lambda: trial_colouring(2, 1), "n >= 3, got n = 2"),
        (lambda: trial_colouring(3, -1), "rounds >= 0, got rounds = -1"),
        (lambda: sequential_recolouring_steps(2), "n >= 3, got n = 2"),
        (lambda: sequential_recolouring_steps(8), "n <= 7 .* got n = 8"),
        (lambda: deterministic_two_rounds((1, 2, 3)), r"five identifiers .* got \(1, 2, 3\)"),
        (lambda: deterministic_two_rounds((1, 2, 3, 4, 13)), "in 1..12"),
        (lambda: deterministic_two_rounds((1, 2, 2, 4, 5)), "adjacent ones different"),
    ],
)
def test_invalid_arguments_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
