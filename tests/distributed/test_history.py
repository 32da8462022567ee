"""What every worker has done, added up from an evaluator's events."""

from es_randomized.distributed.events import CallCollected, CallIssued, WorkerGone, WorkerJoined
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
