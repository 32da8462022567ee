"""Exact references for colouring cycles: guessing, two classical algorithms, a deterministic one that needs identifiers.

Colours are 0 .. colours-1; probabilities lie in [0, 1]; a round is one synchronous exchange with
both neighbours; a step recolours one vertex.
"""

from fractions import Fraction
from functools import cache
from itertools import pairwise, product

import numpy as np

MAX_SEQUENTIAL_N = 7
MAX_IDENTIFIER = 12


def one_shot(n: int, colours: int) -> float:
    """Probability that independent uniform colours properly colour the cycle C_n.

    This is the chromatic polynomial of C_n over the number of colourings,
    ((k-1)^n + (-1)^n (k-1)) / k^n with k = `colours`.
    Raises ValueError unless n >= 3 and colours >= 1.
    """
    _require("n", n, 3)
    _require("colours", colours, 1)
    return ((colours - 1) ** n + (-1) ** n * (colours - 1)) / colours**n


def trial_colouring(n: int, rounds: int) -> float:
    """Probability that trial colouring with 3 colours has finished C_n after `rounds` rounds.

    In a round every uncoloured node picks uniformly among the colours not permanently taken by
    its neighbours and keeps the pick when no neighbour picked the same in that round.
    Exact, in O(n^2 rounds) rational operations (seconds at n = 100); at least
    1 - n (7/12)^rounds.  Raises ValueError unless n >= 3 and rounds >= 0.
    """
    _require("n", n, 3)
    _require("rounds", rounds, 0)
    picks = 3**n
    all_lost = picks - _cycle_with_kept(n, None)
    done = Fraction(0)
    for left in range(rounds):
        done = (all_lost * done + _cycle_with_kept(n, left)) / picks
    return float(done)


def sequential_recolouring_steps(n: int) -> float:
    """Expected steps of sequential recolouring of C_n with 3 colours from a uniform start.

    While a conflict exists, a uniformly chosen conflicted vertex takes a uniform one of all 3
    colours (arXiv:2002.05121).  Solves the hitting-time equations of the chain on 3^n colourings.
    Raises ValueError unless 3 <= n <= 7: the dense system for n = 8 would take over 300 MB.
    """
    _require("n", n, 3)
    if n > MAX_SEQUENTIAL_N:
        raise ValueError(f"expected n <= {MAX_SEQUENTIAL_N} (a dense system of 3^n equations), got n = {n}")
    states = list(product(range(3), repeat=n))
    index = {state: row for row, state in enumerate(states)}
    system, cost = np.eye(len(states)), np.zeros(len(states))
    for state, row in index.items():
        conflicted = [v for v in range(n) if state[v] in (state[v - 1], state[(v + 1) % n])]
        cost[row] = bool(conflicted)
        for v, colour in product(conflicted, range(3)):
            successor = index[(*state[:v], colour, *state[v + 1 :])]
            system[row, successor] -= 1 / (3 * len(conflicted))
    return float(np.linalg.solve(system, cost).mean())


def deterministic_two_rounds(view: tuple[int, ...]) -> int:
    """Colour in 0..2 of the middle of five consecutive nodes with distinct identifiers 1..12.

    Two rounds 3-colour every cycle C_n, n >= 3 (on C_3 and C_4 the view wraps around), without
    a sense of direction: the reversed view gets the same colour.  Round one gives 4 colours, as
    there are 12 self-dual monotone Boolean functions of 4 variables (OEIS A001206); in round two
    the nodes of colour 3, never adjacent, take a free smaller one.
    Raises ValueError unless the view is five integers in 1..12 with adjacent ones different.
    """
    valid = len(view) == 5 and all(1 <= node <= MAX_IDENTIFIER for node in view)
    if not valid or any(node == other for node, other in pairwise(view)):
        raise ValueError(f"expected five identifiers in 1..{MAX_IDENTIFIER}, adjacent ones different, got {view}")
    before, own, after = (_four_colour(*view[i : i + 3]) for i in range(3))
    return own if own < 3 else min({0, 1, 2} - {before, after})


def _require(name: str, value: int, least: int) -> None:
    """Raise ValueError unless value >= least."""
    if value < least:
        raise ValueError(f"expected {name} >= {least}, got {name} = {value}")


# Trial colouring.  A pick is kept exactly when it differs from both neighbours, so a round cuts
# a run of uncoloured nodes into gaps between kept nodes, and the gaps evolve independently given
# whether the colours at their two ends are the same.  Colour symmetry makes that bit sufficient.
# `rounds` None stands for "any number": every finishing probability is 1, which counts picks.


@cache
def _lost(length: int, same: bool) -> int:
    """Number of ways in which all nodes of a gap clash: monochromatic blocks of two or more."""
    if length == 0:
        return int(not same)
    return sum(_lost(rest, False) + _lost(rest, not same) for rest in range(length - 1))


def _gap(length: int, same: bool, rounds: int | None) -> Fraction:
    """Ways for a gap to clash entirely times its probability to finish in `rounds` more."""
    return _lost(length, same) * _segment(length, same, rounds)


@cache
def _segment(length: int, same: bool, rounds: int | None) -> Fraction:
    """Probability that an uncoloured run between two coloured ends finishes in `rounds`."""
    if length == 0 or rounds is None:
        return Fraction(1)
    if rounds == 0:
        return Fraction(0)
    return _picks(length, same, rounds - 1) / _picks(length, same, None)


@cache
def _picks(length: int, same: bool, rounds: int | None) -> Fraction:
    """Sum over the picks of a run of the probability to finish in `rounds` more.

    Every pick is split at its first kept node, if any, into a gap and the rest of the run.
    """
    total = _gap(length, same, rounds)
    for gap in range(length):
        rest = length - 1 - gap
        total += _gap(gap, True, rounds) * _picks(rest, same, rounds)
        total += _gap(gap, False, rounds) * _picks(rest, not same, rounds)
        total += _gap(gap, False, rounds) * _picks(rest, False, rounds)
    return total


def _cycle_with_kept(n: int, rounds: int | None) -> Fraction:
    """As `_picks` for the uncoloured cycle, over the picks of which at least one is kept.

    The gap ending at the first kept node from node 0 on has gap + 1 possible positions.
    """
    total = 3 * n * _gap(n - 1, True, rounds)
    for gap in range(n - 1):
        rest = n - 2 - gap
        same = _gap(gap, True, rounds) * _picks(rest, True, rounds)
        different = _gap(gap, False, rounds) * _picks(rest, False, rounds)
        total += 3 * (gap + 1) * (same + 2 * different)
    return total


# Deterministic colouring.  Every identifier stands for a voting game of the four colours.  Two
# winning sets of one game intersect, so a node finds a colour winning towards both neighbours;
# two different games have a set that wins in one and whose complement wins in the other, so the
# colours of adjacent nodes come from disjoint sets.


def _four_colour(before: int, own: int, after: int) -> int:
    """Lowest colour in 0..3 that the node may use towards both its neighbours."""
    common = _palette(own, before) & _palette(own, after)
    return (common & -common).bit_length() - 1


@cache
def _palette(own: int, other: int) -> int:
    """Bit mask of colours winning for `own`, disjoint from that of `other` towards `own`."""
    low, high = sorted((own, other))
    mask = next(m for m in range(16) if _wins(low, m) and not _wins(high, m))
    return mask if own == low else 15 - mask


def _wins(identifier: int, mask: int) -> bool:
    """Whether the colours in `mask` hold the majority of votes in the game of `identifier`.

    One colour has 1, 0 or 2 votes and the others 0, 1 or 1: a dictator, a bystander, a chair.
    """
    kind, special = divmod(identifier - 1, 4)
    votes = [(0, 1, 1)[kind]] * 4
    votes[special] = (1, 0, 2)[kind]
    return 2 * sum(vote for colour, vote in enumerate(votes) if mask >> colour & 1) > sum(votes)
