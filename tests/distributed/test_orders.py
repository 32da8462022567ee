"""Answers of a supervisor bring what is ready, as much as was asked for; nothing is lost or told twice, whatever the order."""

import random
from collections import Counter

from es_randomized.distributed.orders import Order, Orders
from es_randomized.distributed.work import Call, CallTaker, Takers, Work


class Taker(CallTaker):
    def __init__(self, workers=1):
        self.calls, self.leaving, self.workers = {}, False, workers


def test_a_call_is_answered_when_as_many_units_are_ready_whichever_they_are():
    work = Work(0)
    orders = Orders(work)
    first, second = Order([1, 2], 7), Order([5, 6, 7], 4)
    orders.add(first)
    orders.add(second)
    assert (work.units, work.expected) == (5, 4)
    work.done(7, b"", 0.0)
    assert list(orders.ready()) == []
    work.done(1, b"", 0.0)
    assert list(orders.ready()) == [(first, [7, 1])]
    for unit in (1, 2, 6):  # the first of them for the second time
        work.done(unit, b"", 0.0)
    assert list(orders.left()) == [second]
    work.done(5, b"", 0.0)
    assert list(orders.ready()) == [(second, [2, 6, 5])]
    assert list(orders.left()) == []


def test_a_unit_that_is_there_already_is_told_again_to_whoever_asks_for_it_again():
    work = Work(0)
    orders = Orders(work)
    orders.add(Order([1, 2], 0))
    work.done(1, b"", 0.0)
    orders.add(again := Order([1, 3], 0))
    work.done(2, b"", 0.0)
    assert [units for _, units in orders.ready()] == [[1, 2]]
    work.done(3, b"", 0.0)
    assert list(orders.ready()) == [(again, [1, 3])]


def test_whatever_order_units_come_in_everyone_of_them_is_told_once_and_calls_keep_their_sizes():
    for seed in range(50):
        chance = random.Random(seed)
        above, taker = Work(60, step=3), Taker(workers=4)
        takers, below = Takers([taker]), Work(0, step=3)
        orders, told, asked = Orders(below), Counter(), 0
        old = Call(2, [0, 1, 2], 0.0)  # of the step before, still under way
        taker.calls["old"] = old
        while not above.complete:
            for worker, call in takers.issue(above, lambda _, chance=chance: chance.randrange(1, 9), lambda: 0.0):
                worker.calls[asked] = call
                order = Order(list(call.units), 0)
                order.number, asked = asked, asked + 1
                orders.add(order)
            under_way = [unit for unit in below._wanted if unit not in below.results]
            for unit in chance.sample(under_way, chance.randrange(1, len(under_way) + 1)):
                below.done(unit, b"", 0.0)
            for order, units in orders.ready():
                size = len(taker.calls[order.number].units)
                call = takers.pop_call(taker, order.number, units)
                assert sorted(call.units) == sorted(units)
                assert len(units) == size
                told.update(units)
                for unit in units:
                    above.done(unit, b"", 0.0)
                open_units = [unit for other in taker.calls.values() if other is not old for unit in other.units]
                assert not set(open_units) & set(above.results)
                assert len(open_units) == len(set(open_units)) == above.units - above.waiting - len(above.results)
        assert told == Counter(range(60))
        assert old.units == [0, 1, 2]


def test_a_supervisor_has_more_calls_at_hand_than_a_worker():
    worker, supervisor = Taker(), Taker(workers=2)
    work = Work(100)
    takers = Takers([worker, supervisor])
    for number, (taker, call) in enumerate(takers.issue(work, lambda _: 1, lambda: 0.0)):
        taker.calls[number] = call
    assert (len(worker.calls), len(supervisor.calls)) == (2, 4)
