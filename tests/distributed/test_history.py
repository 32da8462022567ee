"""What every worker has done, added up from an evaluator's events."""

from es_randomized.distributed.events import CallCollected, CallIssued, StepBegan, StepEnded, WorkerGone, WorkerJoined
from es_randomized.distributed.history import WorkerHistory
from es_randomized.distributed.work import Call
from es_randomized.distributed.worker import WorkerInfo


def test_units_seconds_lateness_and_losses_are_counted_for_the_worker_they_belong_to() -> None:
    now = 10.0
    history = WorkerHistory(lambda: now)
    for number in (0, 1):
        history(WorkerJoined(number, WorkerInfo(f"node-{number}", "cpu", "cpu", {}, 4711 + number, 1)))
    slow, quick, follows = Call(1, [0, 1], 11.0), Call(1, [2], 11.5), Call(1, [3, 4, 5], 12.0)
    for worker, call in ((0, slow), (1, quick), (0, follows)):
        history(CallIssued(worker, call, again=False))
    first, second = history.workers()
    assert (first.node, first.pid, first.joined) == ("node-0", 4711, 10.0)
    assert (first.under_way, first.since, first.units) == (5, 11.0, 0)
    history(CallCollected(1, quick, 0.25, 4))
    history(CallIssued(1, Call(1, [1, 2], 20.0), again=True))
    first, second = history.workers()
    assert (first.late, second.late) == (1, 0)  # unit 2 came already
    assert (second.units, second.busy, second.under_way) == (1, 0.25, 2)
    history(CallIssued(1, Call(2, [0, 1], 21.0), again=True))
    assert [worker.late for worker in history.workers()] == [1, 0]  # of another step
    now = 30.0
    history(WorkerGone(1, lost=True))
    gone, there = history.workers()
    assert (gone.number, gone.gone, gone.lost, gone.under_way) == (1, 30.0, True, 4)
    assert (there.number, there.gone) == (0, None)


def test_waiting_is_from_the_last_answer_of_a_step_to_its_end() -> None:
    now = 0.0
    history = WorkerHistory(lambda: now)
    for number in (0, 1, 2):
        history(WorkerJoined(number, WorkerInfo("node", "cpu", "cpu", {}, 4711 + number, 1)))
    calls = [Call(1, [0], 1.0), Call(1, [1], 1.0), Call(1, [2], 1.0)]
    now = 1.0
    history(StepBegan(1, "evaluate", ()))
    for worker, call in zip((0, 1, 0), calls, strict=True):
        history(CallIssued(worker, call, again=False))
    for now, worker, call in ((3.0, 0, calls[0]), (4.0, 1, calls[1]), (5.0, 0, calls[2])):  # noqa: B007
        history(CallCollected(worker, call, 1.0, 4))
    now = 5.5
    history(StepEnded())
    assert [worker.waited for worker in history.workers()] == [0.5, 1.5, 4.5]  # the third had nothing to do
    now = 9.0
    history(WorkerGone(1, lost=False))
    history(StepBegan(2, "parts", ()))
    now = 10.0
    history(StepEnded())
    assert [worker.waited for worker in history.workers()] == [1.5, 1.5, 5.5]  # who has gone comes first
