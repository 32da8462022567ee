"""The service: what one call does for a run, the same as the command, and the example that the package shows."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import es_randomized
from es_randomized import Evolution, Listener, LocalEvaluator, RunFolder, dump, evaluate, load, resume, train, train_run
from es_randomized.errors import ConfigError, RunFolderError
from tests.tools.command import PATIENCE, TINY, TINY_GRADIENT, final_snapshot, generations_in


class Log(Listener):
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def planned(self, driver):
        self.told.append("planned")

    def began(self, folder, driver, evaluator, seconds):
        self.told.append(f"began, {seconds} s at most")

    def row(self, row):
        self.told.append(row["generation"])

    def ended(self, result):
        self.told.append(result and result.reason)

    def scored(self, folder, trained, score, path):
        self.told.append(path.name)


def test_a_run_has_everything_that_the_loop_alone_computes(tmp_path):
    evolution = Evolution.of(load(TINY))
    *_, last = train(evolution, LocalEvaluator(evolution), evolution.init())

    told, rows = Log(), []
    result = train_run(TINY, tmp_path / "run", local=True, listener=told, on_row=rows.append)

    assert (result.generation, result.reason) == (12, "finished")
    np.testing.assert_array_equal(result.weights, evolution.centre(last.state))
    assert generations_in(tmp_path / "run") == 12
    assert [row["generation"] for row in rows] == list(range(12))
    assert told.told == ["planned", "began, None s at most", *range(12), "finished", "evaluation.json"]
    assert len(list((tmp_path / "run").glob("events.out.tfevents.*"))) == 1
    assert "finished before generation 12" in (tmp_path / "run" / "run.log").read_text()
    average = json.loads((tmp_path / "run" / "evaluation.json").read_text())["average"]["value"]
    assert result.score.single.average.value == average
    assert evaluate(result.driver.experiment, result.weights).single.average.value == average
    with pytest.raises(RunFolderError, match="already holds a run"):
        train_run(TINY, tmp_path / "run", local=True)


def test_a_run_at_an_address_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # it keeps the cache it has
    train_run(TINY_GRADIENT, tmp_path / "whole", evaluate=False)
    address = (tmp_path / "there").as_uri()
    first = train_run(TINY_GRADIENT, address, seconds=1e-9, evaluate=False)
    assert (first.generation, first.reason, first.score) == (1, "out of time", None)
    assert resume(address, evaluate=False).reason == "finished"
    assert final_snapshot(tmp_path / "there") == final_snapshot(tmp_path / "whole")
    frozen = evaluate(address, randomness="none")
    kept = json.loads((tmp_path / "there" / "evaluation-none.json").read_text())
    assert kept["average"]["value"] == frozen.single.average.value


def test_an_experiment_with_overrides_in_a_folder_named_for_its_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed = {"budget.generations": 1, "seed": 7}
    result = train_run(load(TINY_GRADIENT), overrides=changed, evaluate=False)
    assert str(result.folder.path).startswith("runs/cycle_colouring-")
    assert dump(result.folder.experiment())["seed"] == 7
    assert result.generation == 1
    assert resume(str(result.folder.path), evaluate=False).reason == "finished"


def test_what_raises_ends_the_session_and_is_raised(tmp_path):
    told = Log()

    def fail(row):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_run(TINY_GRADIENT, tmp_path / "run", on_row=fail, listener=told)
    assert told.told[-1] is None
    with RunFolder(tmp_path / "run").lock():  # given back
        pass


def test_options_that_do_not_go_together(tmp_path):
    with pytest.raises(ConfigError, match="gradient runs in this process on one device"):
        train_run(TINY_GRADIENT, tmp_path / "run", workers=2)
    with pytest.raises(TypeError, match="colour"):
        train_run(TINY, tmp_path / "run", colour="red")
    assert not (tmp_path / "run").exists()


EXAMPLE = "\n".join(line[4:] for line in es_randomized.__doc__.splitlines() if line.startswith("    "))
ON_RAY = """
from es_randomized.distributed.session import connect
from es_randomized.errors import WorkerError

with connect(2):
    {example}
    try:
        train_run("raising.yaml", "runs/raising", workers=1, evaluate=False)
    except WorkerError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory):
    """Folder and output of a process that runs the example, stopped after a generation, and a task that raises."""
    folder = tmp_path_factory.mktemp("on_ray")
    raising = TINY.read_text().replace("cycle_colouring", "tests.tools.raising_task").replace("12}", "100000}")
    (folder / "raising.yaml").write_text(raising)
    example = EXAMPLE.replace("configs/demo.yaml", str(TINY)).replace('{"driver.population": 512}', "None")
    assert "seconds=600" in example
    script = ON_RAY.format(example=textwrap.indent(example.replace("seconds=600", "seconds=1e-9"), "    ").strip())
    command, environment = [sys.executable, "-c", script], os.environ | {"PYTHONPATH": str(TINY.parents[1])}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


@pytest.mark.cluster
def test_the_example_of_the_package(on_ray, tmp_path):
    folder, printed = on_ray
    whole = train_run(TINY, tmp_path / "whole", local=True, evaluate=False)
    assert final_snapshot(folder / "runs" / "mine") == final_snapshot(whole.folder.path)
    assert "12 Estimate(value=" in printed
    assert "one frozen seed: Estimate(value=" in printed


@pytest.mark.cluster
def test_user_code_that_raises_on_a_worker_stops_the_run_with_its_exception(on_ray):
    folder, printed = on_ray
    assert "the user's own mistake" in printed
    assert "of generation" in printed
    assert generations_in(folder / "runs" / "raising") > 0
