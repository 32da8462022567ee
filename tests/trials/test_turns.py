"""Trials that share a process against the same trials trained one by one: the same bytes, whoever else is there."""

import shutil
import signal

import jax
import numpy as np
import pytest

from es_randomized.config.yaml import dump, load, write_yaml
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.local_evaluator import local_evaluator
from es_randomized.drivers.program_sharing import Drivers, programs_of
from es_randomized.runs.journal import generations_in
from es_randomized.trials.attempt import Assignment
from es_randomized.trials.queue import Queue, Study
from es_randomized.trials.run import run_here
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import planned, study_of
from es_randomized.trials.trial import Record, Trial, TrialsFolder
from es_randomized.trials.turns import take_turns
from tests.tools.command import TINY, TINY_GRADIENT

RATE = "driver.optimizer.learning_rate"
FEW = {"driver.population": 4, "budget.generations": 3, "plan": {"chunk": 2}}
TRIALS = {
    "first": load(TINY, FEW),
    "second": load(TINY, FEW | {"seed": 2**32 - 1, "objective.q": 7, "driver.std": 0.3, RATE: 0.5}),
}
OTHERS = {
    "third": load(TINY, FEW | {"seed": 1, RATE: {"start": 0.1, "end": 0.2, "shape": "linear"}}),
    "another shape": load(TINY, FEW | {"model.width": 2}),
    "slope": load(TINY_GRADIENT),
    "steep slope": load(TINY_GRADIENT, {"seed": 3, "objective.q": {"start": 9, "end": 1}, RATE: 0.2}),
}


def assignments(out, names):
    folder = TrialsFolder(out)
    for name in names:
        folder.write(name, Record({}, 0))
    return [Assignment(name, str(folder.run(name).path), write_yaml(dump(TRIALS[name])), (), "loss") for name in names]


def result(out, name):
    """What a trial leaves that does not tell the time: losses, the last state, the resolved experiment."""
    run = TrialsFolder(out).run(name).path
    kept = [run / "journal.bin", max(run.glob("snapshots/*")), run / "experiment.yaml"]
    return {str(path.relative_to(run)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What every trial comes to in a process, or at least a group, of its own."""
    out = tmp_path_factory.mktemp("alone")
    for name in TRIALS:
        assert list(take_turns(assignments(out, [name])))[-1].message == ""
    return {name: result(out, name) for name in TRIALS}


def test_trials_have_the_same_bytes_together_and_one_by_one(alone, tmp_path):
    turns = list(take_turns(assignments(tmp_path, TRIALS)))
    for name, expected in alone.items():
        assert result(tmp_path, name) == expected, name
    assert {report.name for report in turns if report.done} == set(TRIALS)
    assert [report.name for report in turns[: len(TRIALS)]] == list(TRIALS), "they take turns"


def test_who_leaves_early_does_not_change_the_others(alone, tmp_path):
    for report in take_turns(assignments(tmp_path, TRIALS)):
        if report.name == "first":
            TrialsFolder(tmp_path).write("first", Record({}, 0, "stopped"))
    assert result(tmp_path, "second") == alone["second"]
    left = TrialsFolder(tmp_path).run("first")
    assert generations_in(left.journal_file) == 1, "it was ended after its first report"
    assert alone["first"]["journal.bin"].startswith(left.journal_file.read_bytes())
    assert list(left.snapshots.iterdir()), "what was trained is kept"


@pytest.mark.long
def test_what_a_killed_process_left_goes_on_to_the_same_bytes_and_who_fails_is_alone(alone, tmp_path):
    turns = take_turns(assignments(tmp_path / "before", TRIALS))
    assert [next(turns).generation for _ in range(3)] == [1, 1, 2], "the first one is a generation ahead"
    shutil.copytree(tmp_path / "before", tmp_path / "after")  # as a crash leaves it: nothing was closed
    turns.close()
    first, second = assignments(tmp_path / "after", TRIALS)
    broken = first._replace(name="broken", folder=str(tmp_path / "nowhere"))
    reports = {report.name: report for report in take_turns([broken, second, first])}
    assert "does not see the folder" in reports["broken"].message
    for name, expected in alone.items():
        assert result(tmp_path / "after", name)["journal.bin"] == expected["journal.bin"]


def test_programs_are_shared_where_they_agree():
    drivers = Drivers(driver_of)
    made = {name: drivers.of(experiment) for name, experiment in (TRIALS | OTHERS).items()}
    chunk = made["first"].chunk_losses
    assert made["second"].chunk_losses is made["third"].chunk_losses is chunk
    assert made["another shape"].chunk_losses is not chunk
    assert made["first"].strategy._update is not made["second"].strategy._update, "step sizes are compiled in"
    steep, alone = made["steep slope"], driver_of(OTHERS["steep slope"])
    assert made["slope"].program is steep.program is not alone.program
    for found, expected in zip(
        *(jax.tree.leaves(each.step(each.init(), 1, local_evaluator(each))) for each in (steep, alone)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("change", ["model.width", "batch.seeds", "driver.population", "driver.optimizer.momentum"])
def test_other_shapes_and_other_constants_are_other_programs(change):
    other = load(TINY, {change: 0.5 if "momentum" in change else 6})
    assert programs_of(load(TINY)) != programs_of(other)


def test_trials_that_do_not_agree_are_in_other_groups(tmp_path):
    tree = {"base": str(TINY), "trials_per_process": 3, "seeds": [0, 1, 2, 3]}
    tree["search"] = {"parameters": {"objective.q": {"values": [2, 3]}, "model.width": {"values": [4, 8]}}}
    (tmp_path / "mine.yaml").write_text(write_yaml(tree))
    sweep = load_sweep(tmp_path / "mine.yaml")
    queue, groups = Queue(study_of(sweep, TrialsFolder(tmp_path / "out"))), []
    while group := queue.group():
        groups.append([assignment.name for assignment in group])
        assert len({"width4" in name for name in groups[-1]}) == 1
        assert len(group) <= 3
    assert sorted(name for group in groups for name in group) == sorted(trial.name for trial in planned(sweep))
    assert len(groups) <= 8


def test_the_first_ctrl_c_lets_the_trial_in_hand_save_and_begins_no_other(tmp_path):
    folder, before = TrialsFolder(tmp_path), signal.getsignal(signal.SIGINT)
    trials = [Trial(name, TINY, FEW | {"budget.generations": 1000}, {}, 0) for name in ("first", "second")]

    def interrupt(progress):
        if progress.records["first"].generation:
            signal.raise_signal(signal.SIGINT)

    queue = Queue(Study(folder, trials, {}, 2), interrupt)
    run_here(queue)
    assert queue.interrupted
    assert {name: record.status for name, record in folder.records().items()} == {"first": "begun"}
    left = folder.run("first")
    assert 0 < generations_in(left.journal_file) < 1000
    assert list(left.snapshots.iterdir()), "what was trained is kept"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.cluster
def test_a_trial_with_phases_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Its folder has the plans of its phases, which the trial does not name."""
    phases = {"phases": [{"objective": {"kind": "expected"}}, {"driver": {"population": 8}}]}
    monkeypatch.setitem(
        TRIALS, "phased", load(TINY, {"driver.population": 4, "budget.generations": 4, "plan": {}} | phases)
    )
    stopped = take_turns(assignments(tmp_path / "stopped", ["phased"]))
    assert next(stopped).generation < 4
    stopped.close()
    for out in ("stopped", "whole"):
        last = list(take_turns(assignments(tmp_path / out, ["phased"])))[-1]
        assert (last.generation, last.done, last.message) == (4, True, "")
    assert result(tmp_path / "stopped", "phased") == result(tmp_path / "whole", "phased")
