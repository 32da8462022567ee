"""Paging against slow twins: sets and lists in Python, all possible evictions, and the linear programme of the whole game."""

from functools import cache
from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from es_randomized.references import paging

SIZES = [(1, 2, 4), (2, 4, 5), (3, 4, 6)]  # slots, pages, requests


def everything(slots, pages, requests):
    """All sequences, also those that begin with hits or ask twice."""
    return list(product(range(pages), repeat=requests))


def columns(sequences):
    return jnp.asarray(np.array(sequences, np.int32).T)


def fewest(slots, sequence):
    @cache
    def of(cached, time):
        if time == len(sequence):
            return 0
        page = sequence[time]
        if page in cached:
            return of(cached, time + 1)
        return 1 + min(of(cached - {gone} | {page}, time + 1) for gone in cached)

    return of(frozenset(range(slots)), 0)


def by_order(slots, sequence, moved_by_hits):
    """A queue whose first page goes; with LRU hits move a page to its end."""
    queue, faults = list(range(slots)), 0
    for page in sequence:
        if page not in queue:
            faults += 1
            queue = [*queue[1:], page]
        elif moved_by_hits:
            queue = [*(other for other in queue if other != page), page]
    return faults


def by_marking(slots, sequence):
    """Expected faults, from the chances of all states (pages in the cache, marked ones of them)."""
    states, faults = {(frozenset(range(slots)), frozenset()): 1.0}, 0.0
    for page in sequence:
        after = {}
        for (cached, marked), chance in states.items():
            outcomes = [(cached, marked | {page}, chance)]
            if page not in cached:
                faults += chance
                marked = frozenset() if marked == cached else marked
                free = cached - marked
                outcomes = [(cached - {gone} | {page}, marked | {page}, chance / len(free)) for gone in free]
            for *state, share in outcomes:
                after[tuple(state)] = after.get(tuple(state), 0.0) + share
        states = after
    return faults


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_faults_of_all_sequences(size):
    slots, pages, _ = size
    sequences = everything(*size)
    given = columns(sequences), slots, pages
    assert paging.best_faults(*given).tolist() == [fewest(slots, sequence) for sequence in sequences]
    assert paging.lru_faults(*given).tolist() == [by_order(slots, sequence, True) for sequence in sequences]
    assert paging.fifo_faults(*given).tolist() == [by_order(slots, sequence, False) for sequence in sequences]
    expected = [by_marking(slots, sequence) for sequence in sequences]
    np.testing.assert_allclose(paging.marking_faults(np.array(sequences).T, slots), expected)


class Rows:
    """Rows of a sparse system: entries by column, and right-hand sides."""

    def __init__(self):
        self.rows, self.columns, self.entries, self.sides = [], [], [], []

    def add(self, entries, side):
        self.rows += [len(self.sides)] * len(entries)
        self.columns += entries
        self.entries += entries.values()
        self.sides.append(side)

    def matrix(self, size):
        return csr_matrix((self.entries, (self.rows, self.columns)), shape=(len(self.sides), size))


def least_ratio(slots, requests):
    """The value of the game on slots + 1 pages: the chances to miss each page after every beginning of a sequence."""
    pages = slots + 1
    every = product(range(1, pages), repeat=requests - 1)
    sequences = [tuple((slots + sum(steps[:end])) % pages for end in range(requests)) for steps in every]
    beginnings = sorted({sequence[:end] for sequence in sequences for end in range(1, requests + 1)})
    place = {beginning: pages * number for number, beginning in enumerate(beginnings)}
    value = pages * len(beginnings)
    at_most, equal, limits = Rows(), Rows(), [(0, 1)] * value + [(0, None)]
    for beginning in beginnings:
        equal.add({place[beginning] + page: 1 for page in range(pages)}, 1)
        limits[place[beginning] + beginning[-1]] = (0, 0)
        for page in range(pages):
            if beginning[:-1] and page != beginning[-1]:
                at_most.add({place[beginning[:-1]] + page: 1, place[beginning] + page: -1}, 0)
    for sequence in sequences:
        missed = {place[sequence[:end]] + sequence[end]: 1 for end in range(1, requests)}
        at_most.add(missed | {value: -fewest(slots, sequence)}, -1)
    cost = np.eye(value + 1)[value]
    systems = [part for each in (at_most, equal) for part in (each.matrix(value + 1), each.sides)]
    return linprog(cost, *systems, limits).fun, sequences


@pytest.mark.parametrize(("slots", "requests"), [(1, 3), (2, 2), (2, 5), (3, 4), (3, 6), (4, 6)])
def test_no_policy_guarantees_less_than_the_harmonic_number_and_marking_guarantees_it(slots, requests):
    value, sequences = least_ratio(slots, requests)
    assert value == pytest.approx(float(paging.harmonic(slots)))
    ratios = [by_marking(slots, sequence) / fewest(slots, sequence) for sequence in sequences]
    assert max(ratios) == pytest.approx(float(paging.harmonic(slots)))


@pytest.mark.parametrize("slots", [3, 4])
def test_with_fewer_requests_less_can_be_guaranteed(slots):
    assert least_ratio(slots, 2 * slots - 3)[0] < float(paging.harmonic(slots)) - 0.05


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_deterministic_policies_guarantee_as_many_faults_as_slots_for_one(slots):
    """Whatever is evicted is asked for next: `slots` faults in a row where one was enough. LRU has no more than that."""
    for evictions in product(range(slots), repeat=slots):
        cached, sequence = list(range(slots)), []
        for place in evictions:
            sequence.append(next(page for page in range(slots + 1) if page not in cached))
            cached[place] = sequence[-1]
        assert fewest(slots, tuple(sequence)) == 1
    sequences = [s for s in everything(slots, slots + 2, 5) if s[0] >= slots]
    assert max(by_order(slots, s, True) / fewest(slots, s) for s in sequences) == slots
