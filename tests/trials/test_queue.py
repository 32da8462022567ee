"""What becomes of trials, by their reports alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from es_randomized.drivers.ledger import Cost
from es_randomized.runs.metrics import Metrics
from es_randomized.trials import table
from es_randomized.trials.attempt import Report
from es_randomized.trials.queue import Queue, halving_of
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import planned, study_of
from es_randomized.trials.trial import Record, TrialsFolder

SWEEP = load_sweep(Path(__file__).parents[1] / "tiny_sweep.yaml")


@pytest.fixture
def past(tmp_path):
    """A sweep folder whose first trial was trained to its end with a loss of 1, the second one failed, the third is to come."""
    folder, (good, bad, _) = TrialsFolder(tmp_path), planned(SWEEP)
    run = folder.run(good.name)
    run.create(good.experiment)
    losses = np.ones((300, 12), np.float32)
    metrics = Metrics(run.metrics, [], Cost(1, 1, 1).times, 1)
    for generation, recorded in enumerate(losses):
        metrics.add(generation, recorded, 0.01, {} if generation % 3 else {"held_out_average": 0.5})
    metrics.flush()
    folder.write(good.name, Record(good.parameters, good.seed, "finished", 1.0, 300))
    folder.write(bad.name, Record(bad.parameters, bad.seed, "failed", message="no number"))
    return folder


@pytest.mark.parametrize(("score", "decision"), [(0.9, True), (1.1, False)])
def test_successive_halving_knows_the_trials_of_earlier_sessions(past, score, decision):
    halving = halving_of(study_of(SWEEP, past))
    assert halving.goes_on("new", 19, score)
    assert halving.goes_on("new", 22, score) == decision
    assert halving.goes_on(planned(SWEEP)[0].name, 25, 1e9), "it was judged at this rung before"


def test_no_trial_is_stopped_by_default(past):
    assert halving_of(study_of(replace(SWEEP, stop=None), past)) is None


def test_of_trials_in_one_process_each_ends_on_its_own(tmp_path):
    folder = TrialsFolder(tmp_path)
    queue = Queue(study_of(SWEEP, folder))
    assignments = queue.group()
    good, failing, bad = (assignment.name for assignment in assignments)
    assert queue.group() == []
    queue.take(Report(failing, 0, np.inf, True, "no number"))
    queue.take(Report(good, 21, 0.1))
    queue.take(Report(good, 23))
    queue.take(Report(bad, 21, 0.9))
    states = {name: record.status for name, record in folder.records().items()}
    assert states == {good: "begun", failing: "failed", bad: "stopped"}, "the process sees in their folders who goes on"
    assert queue.left(assignments) == assignments[:1]
    assert queue.progress.completed == pytest.approx(2 + 23 / 300)
    assert queue.interrupted
    queue.take(Report(good, 300, 0.05, True))
    queue.lost(assignments, "killed")
    queue.take(Report(good, 300, 0.5, True))
    assert folder.records()[good] == Record({"driver.std": 0.1}, 1, "finished", 0.05, 300)
    assert folder.records()[failing].message == "no number"
    assert not queue.interrupted


def test_the_trials_of_a_lost_process_have_failed(tmp_path):
    folder = TrialsFolder(tmp_path)
    queue = Queue(study_of(SWEEP, folder))
    queue.lost(queue.group(), "killed")
    assert {(record.status, record.message) for record in folder.records().values()} == {("failed", "killed")}
    assert not queue.progress.running


def test_the_table_has_a_row_for_every_trial_also_before_it_begins(past):
    rows_there = table.rows_of(SWEEP, past)
    table.write(SWEEP, past, rows_there)
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
    assert [row["trial"] for row in table.best_first(rows_there)] == ["std0.1-seed1"]
    assert pq.read_schema(past.table).metadata[b"metric"] == SWEEP.metric.encode()
