"""What Ray Tune is told, without a cluster."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ray.tune.search import Searcher

from es_randomized.drivers.ledger import Cost
from es_randomized.errors import ClusterError
from es_randomized.runs.metrics import Metrics
from es_randomized.trials import table
from es_randomized.trials.progress import Progress
from es_randomized.trials.runner import Queue, named, refuse_without_room, scheduler_of
from es_randomized.trials.search import choice_of
from es_randomized.trials.sweep import Room, load_sweep
from es_randomized.trials.trial import Record, SweepFolder, planned

SWEEP = load_sweep(Path(__file__).parents[1] / "tiny_sweep.yaml")


@pytest.fixture
def past(tmp_path):
    """A sweep folder whose first trial was trained to its end with a loss of 1, the second one failed, the third is to come."""
    folder, (good, bad, _) = SweepFolder(tmp_path), planned(SWEEP)
    run = folder.run(good.name)
    run.create(SWEEP.experiment(good.parameters, good.seed))
    losses = np.ones((300, 12), np.float32)
    metrics = Metrics(run.metrics, losses[:0], Cost(1, 1, 1), 1)
    for generation, recorded in enumerate(losses):
        metrics.add(generation, recorded, 0.01, {} if generation % 3 else {"held_out_average": 0.5})
    metrics.flush()
    folder.write(good.name, Record(good.parameters, good.seed, "finished", 1.0, 300))
    folder.write(bad.name, Record(bad.parameters, bad.seed, "failed", message="no number"))
    return folder


@pytest.mark.parametrize(("score", "decision"), [(0.9, "CONTINUE"), (1.1, "STOP")])
def test_successive_halving_knows_the_trials_of_earlier_sessions(past, score, decision):
    scheduler = scheduler_of(SWEEP, past, past.records())
    scheduler.on_trial_add(None, named("new"))
    early, late = ({"generation": generation, "score": score} for generation in (19, 22))
    assert scheduler.on_trial_result(None, named("new"), early) == "CONTINUE"
    assert scheduler.on_trial_result(None, named("new"), late) == decision


def test_of_trials_in_one_process_each_ends_on_its_own(tmp_path):
    folder = SweepFolder(tmp_path)
    progress, scheduler = Progress(3, {}), scheduler_of(SWEEP, folder, {})
    queue = Queue(SWEEP, folder, choice_of(SWEEP, {}), progress, scheduler, tmp_path, lambda _: None)
    places = queue.suggest("process")["places"]
    good, failing, bad = (place["name"] for place in places)
    assert queue.suggest("another") == Searcher.FINISHED

    def told(name, generation, **more):
        return {"trial": name, "generation": generation, "message": "", "ended": False} | more

    queue.on_trial_result("process", told(failing, 0, score=np.inf, message="no number", ended=True))
    queue.on_trial_result("process", told(good, 21, score=0.1))
    queue.on_trial_result("process", told(bad, 21, score=0.9))
    states = {name: record.status for name, record in folder.records().items()}
    assert states == {good: "begun", failing: "failed", bad: "stopped"}, "the process sees in their folders who goes on"
    assert list(progress.running) == [good]
    queue.on_trial_complete("process", told(good, 300, score=0.05, ended=True))
    queue.on_trial_complete(
        "process", {"done": True}
    )  # its process was lost at the very end and had nothing left to do
    queue.lost("process", "killed")
    assert folder.records()[good] == Record({"driver.std": 0.1}, 1, "finished", 0.05, 300)
    assert folder.records()[failing].message == "no number"


def test_the_trials_of_a_lost_process_have_failed(tmp_path):
    folder = SweepFolder(tmp_path)
    progress, scheduler = Progress(3, {}), scheduler_of(SWEEP, folder, {})
    queue = Queue(SWEEP, folder, choice_of(SWEEP, {}), progress, scheduler, tmp_path, lambda _: None)
    queue.suggest("process")
    queue.on_trial_complete("process", error=True)
    queue.lost("process", "killed")
    assert {record.status for record in folder.records().values()} == {"failed"}
    assert not progress.running


def test_the_table_has_a_row_for_every_trial_also_before_it_begins(past):
    found = table.rows(SWEEP, past)
    table.write(SWEEP, past, found)
    rows = {row["status"]: row for row in pq.read_table(past.table).to_pylist()}
    assert rows.keys() == {"finished", "failed", "waiting"}
    assert {status: row["driver.std"] for status, row in rows.items()} == {
        "finished": 0.1,
        "failed": 1e30,
        "waiting": 3.0,
    }
    assert rows["finished"]["seconds"] == pytest.approx(0.01)
    assert rows["finished"]["held_out_average"] == 0.5
    assert rows["failed"]["message"] == "no number"
    assert rows["waiting"]["score"] is None
    assert [row["trial"] for row in table.best_first(found)] == ["std0.1-seed1"]
    assert pq.read_schema(past.table).metadata[b"metric"] == SWEEP.metric.encode()


def test_without_room_for_one_trial_the_sweep_says_so():
    machines = [{"CPU": 4.0, "memory": 1e9}, {"CPU": 1.0, "GPU": 1.0}]
    refuse_without_room(Room(cores=4), machines)
    refuse_without_room(Room(gpus=0.5), machines)
    with pytest.raises(
        ClusterError, match=r"needs 4 CPU, 0.5 GPU on one machine.*have: 4 CPU, 0 GPU; 1 CPU, 1 GPU; ask"
    ):
        refuse_without_room(Room(cores=4, gpus=0.5), machines)


def test_no_scheduler_is_asked_to_stop_anything_by_default(past):
    scheduler = scheduler_of(replace(SWEEP, stop=None), past, past.records())
    scheduler.on_trial_add(None, named("new"))
    assert scheduler.on_trial_result(None, named("new"), {"generation": 299, "score": 1e9}) == "CONTINUE"
