"""Trials side by side, with a stand-in for the process that trains."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_randomized.config.yaml import dump, load, parse, write_yaml
from es_randomized.paper import pool
from es_randomized.paper.points import Trial
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import Journal, generations_in

TESTS = Path(__file__).parents[1]
EXPERIMENT = load(TESTS / "tiny_gradient.yaml")


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(pool, "PROGRAM", [sys.executable, str(TESTS / "tools" / "stand_in_trial.py")])


def trials(folder, *names):
    return [(Trial(name, EXPERIMENT, (None, "sampled")), RunFolder(folder / name)) for name in names]


def test_one_that_fails_is_listed_and_the_others_go_on(tmp_path):
    progress = pool.run_trials(trials(tmp_path, "bad", "good", "better"), jobs=2)
    assert {trial.name for trial in progress.done} == {"bad", "good", "better"}
    assert progress.failures == [pool.Failure("bad", "error: nothing came of it", tmp_path / "bad" / "process.log")]
    assert "working" in progress.failures[0].log.read_text()
    assert not progress.running
    assert not progress.waiting


def test_a_trial_gets_its_experiment_its_sources_and_a_core(tmp_path):
    pool.run_trials(trials(tmp_path, "good"), jobs=1)
    first, _, text = (tmp_path / "good" / "given.txt").read_text().partition("\n")
    assert first.split()[1:] == ["own", "sampled"]
    assert int(first.split()[0]) in os.sched_getaffinity(0)
    assert dump(parse(text)) == dump(EXPERIMENT)


def test_stopping_ends_what_runs_and_starts_nothing_more(tmp_path):
    began = time.monotonic()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    progress = pool.run_trials(trials(tmp_path, "slow", "later"), jobs=1)
    assert time.monotonic() - began < 30
    assert progress.stopped
    assert not progress.failures
    assert not (tmp_path / "later").exists()


def test_a_folder_of_another_experiment_is_moved_aside(tmp_path):
    ((trial, folder),) = trials(tmp_path, "good")
    folder.create(replace(EXPERIMENT, seed=7))
    assert not trial.began(folder)
    pool.run_trials([(trial, folder)], jobs=1)
    (moved,) = tmp_path.glob("good-before-*")
    assert RunFolder(moved).experiment().seed == 7
    assert (folder.path / "given.txt").exists()


def test_a_trial_is_finished_when_it_is_trained_and_scored_under_every_source(tmp_path):
    ((trial, folder),) = trials(tmp_path, "good")
    assert not trial.finished(folder)
    folder.create(EXPERIMENT)
    assert trial.began(folder)
    journal = Journal(folder.journal_file, 1)
    for generation in range(EXPERIMENT.budget.generations):
        assert generations_in(folder.journal_file) == generation
        journal.append(generation, np.zeros(1, np.float32))
    journal.close()
    assert not trial.finished(folder)
    folder.evaluation_file.write_text("{}")
    assert not trial.finished(folder)
    folder.evaluation_by("sampled").write_text("{}")
    assert trial.finished(folder)
    other = replace(
        trial, experiment=replace(EXPERIMENT, plan=parse(write_yaml(dump(EXPERIMENT)), {"plan.tile": 4}).plan)
    )
    assert other.finished(folder), "the plan follows the machine"


def test_progress_counts_the_part_that_is_done():
    running = [type("Half", (), {"fraction": 0.5})()]
    assert pool.Progress([], running, [Trial("done", EXPERIMENT, ())]).completed == 1.5
