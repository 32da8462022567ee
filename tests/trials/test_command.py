"""`sweep` as a user meets it, in this process and on Ray, and its numbers against training one by one."""

import io
import json
import os
import re
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from es_randomized import driver_of, local_evaluator, train
from es_randomized.cli.trials import _showing
from es_randomized.runs.journal import read
from es_randomized.trials.progress import Progress
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import trial_of
from es_randomized.trials.trial import Record
from tests.tools.command import TINY, generations_in, run, run_here, started, wait_until

pytestmark = pytest.mark.cluster  # whole sweeps

SWEEP = TINY.with_name("tiny_sweep.yaml")
GOOD, FAILING, STOPPED = "std0.1-seed1", "std1e+30-seed1", "std3.0-seed1"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep in this process, from nothing to its end: (folder, the end)."""
    out = tmp_path_factory.mktemp("sweeps")
    return out / SWEEP.stem, run_here("sweep", SWEEP, "--out", out, "--local")


def table_of(folder):
    """The rows of its table by the names of the trials."""
    return {row["trial"]: row for row in pq.read_table(folder / "trials.parquet").to_pylist()}


def test_one_trial_fails_one_is_stopped_and_the_table_says_so(swept):
    folder, result = swept
    assert result.returncode == 1
    assert "1 of 3 trials finished, 1 stopped, 1 failed" in result.stdout
    assert f"failed {FAILING}: 12 of 12 losses of generation 0 are not finite" in result.stdout
    assert "the same command tries again what failed" in result.stdout
    rows = table_of(folder)
    states = {name: row["status"] for name, row in rows.items()}
    assert states == {GOOD: "finished", FAILING: "failed", STOPPED: "stopped"}
    assert "are not finite" in rows[FAILING]["message"]
    assert rows[STOPPED]["generations"] == generations_in(folder / STOPPED) in range(20, 30)
    assert rows[STOPPED]["score"] > rows[GOOD]["score"] == rows[GOOD]["loss"]


def test_a_trial_has_the_numbers_of_training_it_alone(swept):
    folder, _ = swept
    driver = driver_of(trial_of(load_sweep(SWEEP), {"driver.std": 0.1}, 1).experiment)
    losses = np.stack([step.losses for step in train(driver, local_evaluator(driver), driver.init())])
    assert np.array_equal(read(folder / GOOD / "journal.bin").losses, losses)


def test_the_table_has_the_evaluation_with_its_intervals(swept):
    folder, _ = swept
    row = table_of(folder)[GOOD]
    evaluation = json.loads((folder / GOOD / "evaluation.json").read_text())
    assert [row["average"], row["average_low"], row["average_high"]] == list(evaluation["average"].values())
    assert row["driver.std"] == 0.1
    assert row["seconds"] > 0
    assert row["folder"] == str(folder / GOOD)


def test_what_failed_is_tried_again_and_the_others_stay(swept):
    folder, _ = swept
    written = (folder / GOOD / "journal.bin").stat().st_mtime_ns
    result = run_here("sweep", SWEEP, "--out", folder.parent, "--local")
    assert "1 of 3 trials finished, 1 stopped, 1 failed" in result.stdout
    assert (folder / GOOD / "journal.bin").stat().st_mtime_ns == written


def test_when_nothing_is_left_the_table_is_there_at_once(swept, tmp_path):
    whole = SWEEP.read_text().replace("1.0e+30, ", "").replace("base: ", f"base: {TINY.parent}/")
    (tmp_path / SWEEP.name).write_text(whole)
    result = run_here("sweep", tmp_path / SWEEP.name, "--out", swept[0].parent)
    assert result.returncode == 0, result.stderr
    assert "Ray" not in result.stdout
    assert "0.1" in result.stdout


@pytest.mark.cluster
def test_on_ray_a_sweep_goes_on_after_kill_9_to_the_same_end(swept, tmp_path):
    folder = tmp_path / SWEEP.stem
    with started("sweep", SWEEP, "--out", tmp_path, "--jobs", 1) as process:
        wait_until(lambda: generations_in(folder / GOOD) >= 30, "the first trial to train")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    begun = generations_in(folder / GOOD)
    assert 30 <= begun < 300, "killed while it trained"
    result = run("sweep", SWEEP, "--out", tmp_path, "--jobs", 1)
    assert result.stderr == ""
    log = (folder / GOOD / "run.log").read_text()
    restored = [int(number) for number in re.findall(r"restored generation (\d+) ", log)]
    assert any(begun <= generation < 300 for generation in restored), log
    for name in (GOOD, STOPPED):
        for file in ("journal.bin", "experiment.yaml"):
            assert (folder / name / file).read_bytes() == (swept[0] / name / file).read_bytes(), name
    here, there = (table_of(place) for place in (swept[0], folder))
    same = ("status", "message", "generations", "score", "average")
    assert {n: [row[k] for k in same] for n, row in there.items()} == {
        n: [row[k] for k in same] for n, row in here.items()
    }


def test_a_bar_is_shown_only_while_there_is_something_to_do():
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    with _showing(console):
        pass
    assert "trials" not in console.file.getvalue()
    with _showing(console) as show:
        show(Progress(3, {"a": Record({}, 0, "finished"), "b": Record({}, 0, "begun", generation=6)}, {"b": 12}))
    assert "1 of 3 trials finished; running: b" in console.file.getvalue()
