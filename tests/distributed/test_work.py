"""The bookkeeping of units, driven with invented times: each counts once, late ones are issued again, lost ones come back."""

import random
from dataclasses import dataclass, field

from es_randomized.distributed.work import (
    CALLS_PER_WORKER,
    COPIES,
    LONG,
    PATIENT,
    QUICK,
    SERVED,
    SHARES,
    SLOW,
    CallTaker,
    Crew,
    Takers,
    Work,
    units_per_call,
)


def test_units_are_taken_in_order_and_each_once():
    work = Work(5)
    assert work.take(2, 0.0, idle=True) == [0, 1]
    assert work.take(9, 0.0, idle=False) == [2, 3, 4]
    assert work.take(1, 1e9, idle=True) == []  # nothing has come yet, so nothing is known to be late
    for unit in (4, 0, 2, 1, 3):
        work.done(unit, bytes([unit]), 1.0)
    assert work.complete
    assert work.reissued == 0


def test_a_late_unit_is_issued_again_to_an_idle_worker_only_and_at_most_two_times_more():
    work = Work(4)
    work.take(4, 0.0, idle=True)
    for unit in (1, 2, 3):
        work.done(unit, b"", 1.0)
    assert work.typical() == 1.0
    assert work.take(1, SLOW - 0.1, idle=True) == []
    assert work.take(1, SLOW + 0.1, idle=False) == []
    assert work.take(1, SLOW + 0.1, idle=True) == [0]
    assert work.take(1, 2 * SLOW, idle=True) == []
    assert work.take(1, 2 * SLOW + 0.2, idle=True) == [0]
    assert work.take(1, 1e9, idle=True) == []
    assert work.reissued + 1 == COPIES
    work.done(0, b"first", 6.0)
    work.done(0, b"second", 7.0)
    assert work.results[0] == b"first"


def test_where_nobody_answers_the_step_before_says_what_is_typical():
    work = Work(2, typical=1.0)
    work.take(2, 0.0, idle=True)
    assert work.typical() == 1.0
    assert work.take(1, SLOW + 0.1, idle=True) == [0]
    work.done(1, b"", 3.0)
    assert work.typical() == 3.0


def test_short_pauses_are_no_reason_to_issue_again():
    work = Work(2)
    work.take(2, 0.0, idle=True)
    work.done(1, b"", 1e-3)
    assert work.take(1, PATIENT - 0.01, idle=True) == []
    assert work.take(1, PATIENT + 0.01, idle=True) == [0]


def test_what_a_dead_worker_had_comes_back_first_and_only_its_first_unit_is_suspected():
    work = Work(6)
    work.take(3, 0.0, idle=True)
    work.lost([1, 2])
    assert work.take(3, 1.0, idle=True) == [2, 1, 3]
    assert work.deaths == {1: 1}


def test_a_lost_copy_is_not_issued_while_another_is_under_way():
    work = Work(2)
    work.take(2, 0.0, idle=True)
    work.done(1, b"", 1.0)
    assert work.take(1, 10.0, idle=True) == [0]
    work.lost([0])
    assert work.take(1, 10.1, idle=False) == []
    work.lost([0])
    assert work.take(1, 10.2, idle=False) == [0]


def test_any_order_of_events_ends_with_every_result():
    """Random workers that answer, die, or answer twice: nothing is lost and nothing is asked for in vain."""
    for seed in range(200):
        chance, units = random.Random(seed), random.Random(seed).randrange(1, 12)
        work, now, hands = Work(units), 0.0, []
        while not work.complete:
            now += chance.random()
            taken = work.take(chance.randrange(1, 3), now, idle=chance.random() < 0.5)
            if taken:
                hands.append(taken)
            if hands and chance.random() < 0.8:
                hand = hands.pop(chance.randrange(len(hands)))
                if chance.random() < 0.3:
                    work.lost(hand)
                else:
                    for unit in hand:
                        work.done(unit, bytes([unit]), now)
            assert now < 1e4, "the work does not end"
        assert work.results == {unit: bytes([unit]) for unit in range(units)}


@dataclass(eq=False)
class Taker(CallTaker):
    calls: dict = field(default_factory=dict)
    leaving: bool = False
    workers: int = 1


def issued(work, workers, size=1, now=0.0):
    """Issue calls, and add them to the workers' as the evaluator does: which worker got which units."""
    got = []
    for worker, call in Takers(workers).issue(work, lambda _: size, lambda: now):
        worker.calls[len(worker.calls)] = call
        got.append((workers.index(worker), call.units))
    return got


def test_everybody_gets_a_first_call_before_anybody_gets_a_second():
    workers = [Taker({7: "call"}), Taker(), Taker(leaving=True), Taker()]
    assert issued(Work(9), workers, size=2) == [(1, [0, 1]), (3, [2, 3]), (0, [4, 5]), (1, [6, 7]), (3, [8])]
    assert CALLS_PER_WORKER == 2


def test_only_the_idle_are_asked_for_what_is_late_and_only_as_many_as_it_takes():
    work, workers = Work(3, step=5), [Taker(), Taker(), Taker()]
    assert issued(work, workers) == [(0, [0]), (1, [1]), (2, [2])]
    assert workers[0].calls[0].step == 5
    for unit in (1, 2):
        work.done(unit, b"", 1.0)
        workers[unit].calls.clear()
    assert issued(work, workers, now=100.0) == [(2, [0])]
    assert work.reissued == 1


def test_quick_units_go_several_to_a_call_and_everybody_gets_a_share():
    work = Work(100)
    assert units_per_call(work, Crew(4, 4), None) == 1
    assert units_per_call(work, Crew(4, 4), pace=1.0) == 1
    assert units_per_call(work, Crew(4, 4), pace=QUICK / 1e6) == 25
    assert units_per_call(work, Crew(0, 0), pace=QUICK / 1e6) == 100
    assert units_per_call(work, Crew(4, 4), pace=1.0, devices=3) == 3


def test_calls_are_long_while_much_is_left_and_short_towards_the_end():
    work = Work(100)
    assert units_per_call(work, Crew(4, 4), pace=LONG / 3.5) == 3  # as much as may be lost with a worker
    assert units_per_call(work, Crew(4, 4), pace=LONG / 50.5) == 7  # a part of what is left
    assert units_per_call(work, Crew(4, 4), pace=QUICK / 10.5) == 10  # worth a message
    work.take(92, 0.0, idle=True)
    assert units_per_call(work, Crew(4, 4), pace=LONG / 50.5) == 1
    assert units_per_call(work, Crew(4, 4), pace=QUICK / 10.5) == 1  # whoever is late must leave some to the others
    assert SHARES > CALLS_PER_WORKER


def test_with_many_workers_calls_last_until_the_coordinator_has_served_everybody():
    work, workers = Work(16_000), 1_000
    assert units_per_call(work, Crew(workers, workers), pace=SERVED * workers / 5.5) == 5
    assert units_per_call(work, Crew(workers, workers), pace=SERVED * workers / 100) == 16  # everybody's share
    work.take(15_900, 0.0, idle=True)
    assert (
        units_per_call(work, Crew(workers, workers), pace=SERVED * workers / 5.5) == 5
    )  # smaller ones would not be handed out any sooner
    assert units_per_call(work, Crew(2, 2), pace=2 * SERVED) == -(-100 // (SHARES * 2))  # two never wait for it


def test_the_usual_time_is_the_median():
    work = Work(5)
    for unit, seconds in enumerate((5.0, 1.0, 4.0, 2.0, 3.0)):
        work.take(1, 0.0, idle=False)
        work.done(unit, b"", seconds)
    assert work.typical() == 3.0


def test_whoever_finished_a_call_has_room_for_another_and_whoever_left_has_none():
    work, workers = Work(9), [Taker(), Taker()]
    takers = Takers(workers)

    def issued_now():
        got = []
        for worker, call in takers.issue(work, lambda _: 1, lambda: 0.0):
            worker.calls[call.units[0]] = call
            got.append((workers.index(worker), call.units))
        return got

    assert issued_now() == [(0, [0]), (1, [1]), (0, [2]), (1, [3])]
    assert issued_now() == []
    assert takers.pop_call(workers[1], 1).units == [1]
    assert issued_now() == [(1, [4])]
    takers.remove(workers[0])
    assert takers.pop_call(workers[0], 0).units == [0]  # it finishes what it has
    workers[1].leaving = True
    takers.pop_call(workers[1], 3)
    assert issued_now() == []
    takers.add(third := Taker())
    workers.append(third)
    assert issued_now() == [(2, [5]), (2, [6])]
    assert list(takers) == [workers[1], third]


def test_a_machine_of_several_workers_gets_as_much_as_they_would_get_together():
    work, one, machine = Work(1_000), Crew(8, 8), Crew(2, 8)
    for pace in (LONG / 50.5, QUICK / 10.5, 1.0):
        alone = units_per_call(work, one, pace)
        together = units_per_call(work, machine, pace, workers=4)
        assert 4 * (alone - 1) <= together <= 4 * (alone + 1)
        assert together % 4 == 0  # whole rounds
    assert units_per_call(work, machine, None, devices=2, workers=4) == 8
    uneven = [units_per_call(work, Crew(2, 16), QUICK / 1e6, workers=count) for count in (4, 12)]
    assert uneven == [248, 744]  # of 250 and 750: whole rounds, so that nobody has one more than others at the end


def test_more_units_are_wanted_later_and_none_of_them_twice():
    work = Work(0)
    work.more([7, 3])
    assert work.take(9, 0.0, idle=True) == [7, 3]
    work.more([3, 9])
    assert work.take(9, 0.0, idle=True) == [9]
    for unit in (9, 3):
        work.done(unit, b"", 1.0)
    assert not work.complete
    work.done(7, b"", 1.0)
    work.more([9])
    assert work.take(9, 1.0, idle=False) == []
    assert work.complete
