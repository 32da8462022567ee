"""A run that starts from another one: its first weights are the other's answer, and it never needs the other again."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from es_randomized import Evolution, Gradient, LocalEvaluator, RunFolder, driver_of, load, local_evaluator, train_run
from es_randomized.cli.overrides import parse_overrides
from es_randomized.config.yaml import dump
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.program_sharing import programs_of
from es_randomized.errors import ConfigError, RunFolderError
from es_randomized.evaluation.of_runs import evaluate_runs, newest, start_of, write_score
from es_randomized.runs.branch import branch, state_at, verify
from es_randomized.runs.checkpoint import export
from es_randomized.runs.restore import restore
from es_randomized.session import run_session
from es_randomized.trials.queue import Queue, Study
from es_randomized.trials.trial import Trial, TrialsFolder
from es_randomized.trials.turns import take_turns
from tests.tools.command import TINY, TINY_GRADIENT


def trained(yaml, place, overrides):
    driver, folder = driver_of(load(yaml, overrides)), RunFolder(place)
    folder.create(driver.experiment, start_of(driver.experiment))
    return run_session(folder, driver, local_evaluator(driver), lambda _: None)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run by gradient descent with seed 3."""
    folder = tmp_path_factory.mktemp("source") / "gradient-3"
    return trained(TINY_GRADIENT, folder, {"seed": 3})


@pytest.fixture(scope="module")
def run(source, tmp_path_factory):
    """A run by evolution from a copy of it that is gone, and its own folder."""
    place = tmp_path_factory.mktemp("run")
    shutil.copytree(source.folder.path, place / "copied-3")
    overrides = {"start_from": str(place / "copied-{seed}"), "seed": 3, "budget.generations": 5}
    result = trained(TINY, place / "run", overrides)
    shutil.rmtree(place / "copied-3")
    return result


def first(folder, driver):
    return np.asarray(driver.centre(state_at(folder, driver, 0)))


def test_evolution_goes_on_from_what_gradient_descent_has_learned(source, run):
    np.testing.assert_array_equal(first(run.folder, run.driver), source.weights)
    assert (np.asarray(run.driver.centre(run.driver.init())) != source.weights).any(), "fresh weights are others"
    # Trained by the loop alone, from the strategy's own state around those weights.
    state = run.driver.start(np.asarray(source.weights))
    for generation in range(5):
        losses, state = run.driver.step(state, generation, LocalEvaluator(run.driver))
        np.testing.assert_array_equal(losses, run.folder.losses()[generation])
    np.testing.assert_array_equal(run.weights, run.driver.centre(state))


def test_its_folder_says_where_the_weights_are_from(source, run):
    assert run.folder.experiment().start_from.endswith("copied-{seed}")
    said = json.loads(run.folder.provenance_file.read_text())["start_from"]
    assert said.pop("given").endswith("copied-3")
    assert said == {
        "weights": "the centre after 12 generations",
        "revision": str(json.loads(source.folder.provenance_file.read_text())["revision"]),
        "sha256": hashlib.sha256(np.asarray(source.weights).tobytes()).hexdigest(),
    }


def test_it_is_replayed_branched_and_resumed_without_the_other(run, tmp_path):
    agree = verify(run.folder, run.driver)
    assert 5 in agree
    assert all(agree.values())
    branched = RunFolder(tmp_path / "branch")
    branch(run.folder, run.driver, run.driver, 2, branched)
    assert run_session(branched, run.driver, LocalEvaluator(run.driver), lambda _: None).generation == 5
    np.testing.assert_array_equal(branched.losses(), run.folder.losses())
    other = Evolution.of(replace(run.driver.experiment, start_from=None))
    with pytest.raises(RunFolderError, match="a branch cannot change it"):
        branch(run.folder, run.driver, other, 2, RunFolder(tmp_path / "other"))
    killed = RunFolder(tmp_path / "killed")
    shutil.copytree(run.folder.path, killed.path)
    for snapshot in killed.snapshots.iterdir():
        snapshot.unlink()
    _, state = restore(killed, run.driver)
    np.testing.assert_array_equal(run.driver.centre(state), run.weights)


def test_a_worker_needs_no_file_and_finds_the_same_losses(run, monkeypatch):
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    worker, generation = Worker(dump(run.driver.experiment), None), 0
    worker.ready()
    ask = run.driver.strategy.ask(run.driver.start(first(run.folder, run.driver)), generation)
    results = worker.evaluate(generation, run.driver.strategy.message(ask), list(range(len(run.driver.chunks)))).results
    found = run.driver.in_id_order([run.driver.chunk_of(data) for data in results])
    np.testing.assert_array_equal(found, run.folder.losses()[generation])


def test_gradient_descent_goes_on_from_evolution_and_from_a_checkpoint(run, tmp_path):
    write_score(run.folder, run.driver.experiment, evaluate_runs([newest(run.folder)]))
    export(run.folder, tmp_path / "kept")
    overrides = {"start_from": str(tmp_path / "kept"), "budget.generations": 2}
    result = train_run(TINY_GRADIENT, tmp_path / "run", overrides=overrides, evaluate=False)
    np.testing.assert_array_equal(first(result.folder, result.driver), run.weights)
    assert (np.asarray(result.weights) != run.weights).any()


def test_trials_begin_with_their_start_in_their_folders(source, tmp_path):
    settings = {"start_from": str(source.folder.path).replace("-3", "-{seed}"), "budget.generations": 2}
    good, bad = (Trial(f"seed{seed}", TINY, settings, {}, seed, ()) for seed in (3, 4))
    folder = TrialsFolder(tmp_path)
    queue = Queue(Study(folder, [good, bad], {}, 2))
    assignments = queue.group()
    assert folder.run("seed3").start_file.exists(), "a process on another machine may not see the source"
    for report in take_turns(assignments):
        queue.take(report)
    assert folder.records()["seed3"].status == "finished"
    driver = Evolution.of(folder.run("seed3").experiment())
    np.testing.assert_array_equal(first(folder.run("seed3"), driver), source.weights)
    assert queue.group() == []
    assert folder.records()["seed4"].status == "failed"
    assert "start_from:" in folder.records()["seed4"].message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"start_from": "nowhere"}, "start_from: nowhere is not a run folder"),
        (
            {"model.hidden": 9},
            r"weights of shapes .*, but this experiment's model and task have .*; use the same model",
        ),
    ],
)
def test_what_cannot_be_started_from_leaves_nothing_behind(source, overrides, message, tmp_path):
    overrides = {"start_from": str(source.folder.path), **overrides}
    with pytest.raises(ConfigError, match=message):
        train_run(TINY, tmp_path / "run", overrides=overrides, local=True)
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_damaged_or_lost_is_never_used(run, tmp_path):
    damaged = RunFolder(tmp_path / "damaged")
    shutil.copytree(run.folder.path, damaged.path)
    content = bytearray(damaged.start_file.read_bytes())
    content[-1] ^= 1
    damaged.start_file.write_bytes(content)
    with pytest.raises(RunFolderError, match="is damaged: its hash should be"):
        state_at(damaged, run.driver, 0)
    damaged.start_file.unlink()
    with pytest.raises(RunFolderError, match=r"start\.safetensors.*cannot be read"):
        state_at(damaged, run.driver, 0)
    with pytest.raises(RunFolderError, match="cannot be read"):
        RunFolder(tmp_path / "new").create(run.driver.experiment)


def test_a_driver_that_knows_no_start_says_so():
    class Own(Gradient):
        start = Gradient.__mro__[1].start

    driver = Own.of(load(TINY_GRADIENT))
    with pytest.raises(ConfigError, match="Own does not say how to start from given weights"):
        driver.start(np.zeros(driver.parameters, np.float32))


def test_runs_from_different_starts_share_programs():
    one, other = (load(TINY, {"start_from": name}) for name in ("a", "b"))
    assert programs_of(one) == programs_of(other) == programs_of(load(TINY))


@pytest.mark.parametrize("name", ["--start-from", "--start_from"])
def test_the_command_line_takes_it_like_any_setting(name):
    overrides = parse_overrides([name, "runs/gradient-{seed}", "--seed", "3"])
    assert load(TINY, overrides).start_from == "runs/gradient-{seed}"
