"""What a generation costs, added up from the events of an evaluator with clocks of our own."""

from types import SimpleNamespace

import pytest

from es_randomized.distributed.events import (
    AnswersArrived,
    CallCollected,
    IssueEnded,
    StepBegan,
    StepEnded,
    TurnBegan,
)
from es_randomized.distributed.messages import SMALL
from es_randomized.distributed.work import Call
from es_randomized.scaling import generation
from es_randomized.scaling.generation import GenerationCost

LARGE = SMALL + 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Processor time of the thread and of the process, and the time on the wall."""
    now = SimpleNamespace(thread=0.0, process=0.0, wall=100.0)
    clocks = SimpleNamespace(
        thread_time=lambda: now.thread,
        process_time=lambda: now.process,
        monotonic=lambda: now.wall,
        perf_counter=lambda: now.wall,
    )
    monkeypatch.setattr(generation, "time", clocks)
    return now


def later(clock: SimpleNamespace, thread: float = 0.0, wall: float = 0.0, others: float = 0.0) -> None:
    clock.thread += thread
    clock.process += thread + others
    clock.wall += thread + wall


def test_a_step_is_divided_into_issuing_collecting_turns_and_other_threads(clock: SimpleNamespace) -> None:
    hear = GenerationCost(machines=2)
    hear(StepBegan(step=7, method="evaluate", arguments=(LARGE,)))
    later(clock, thread=0.5)
    hear(TurnBegan(waiting=4))
    later(clock, thread=2.0)
    hear(IssueEnded(2))
    first, second = Call(7, [0, 1], clock.wall), Call(7, [2, 3], clock.wall)
    later(clock, thread=0.25, wall=10.0, others=4.0)
    hear(AnswersArrived())
    later(clock, thread=1.0)
    hear(CallCollected(worker=0, call=first, seconds=6.0, bytes=16))
    hear(TurnBegan(waiting=0))
    later(clock, thread=8.0)  # looks for late units in vain
    hear(IssueEnded(0))
    hear(AnswersArrived())
    later(clock, thread=1.0)
    hear(CallCollected(worker=0, call=second, seconds=3.0, bytes=16))
    hear(CallCollected(worker=1, call=Call(6, [9], 0.0), seconds=50.0, bytes=99))  # of the step before
    hear(StepEnded())
    cost = hear.cost
    assert (cost.calls, cost.turns, cost.issue, cost.collect) == (2, 2, 2.0, 2.0)
    assert (cost.turn, cost.background) == (8.75, 4.0)
    assert (cost.chunks, cost.parts, cost.computed) == ([3.0, 1.5], [], 9.0)
    assert cost.first == [pytest.approx(0.25 + 10.0 - 6.0)]
    assert cost.next == [pytest.approx(1.0 + 8.0 - 3.0)]
    assert (cost.down, cost.up) == (2 * LARGE, 32)
    assert hear.steps == [(100.0, clock.wall)]


def test_what_goes_with_every_call_counts_for_every_call_and_a_large_message_goes_once(clock: SimpleNamespace) -> None:
    for message, shaped, down in ((LARGE, LARGE, 3 * LARGE), (LARGE, 40, 5 * 40), (8, LARGE, 5 * 8 + 3 * LARGE)):
        hear = GenerationCost(machines=3)
        hear(StepBegan(step=1, method="parts", arguments=(message, shaped)))
        hear(TurnBegan(waiting=9))
        hear(IssueEnded(5))
        hear(StepEnded())
        assert hear.cost.down == down
