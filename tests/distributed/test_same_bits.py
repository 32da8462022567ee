"""The same experiment gives the same bits whoever evaluates it, whoever dies, and however often it is resumed.

tests/test_service.py compares a run on Ray with one in this process in the default suite.
"""

import json
import os
import random
import re
import shutil
import signal
from pathlib import Path

import pytest

from es_randomized import train_run
from es_randomized.runs.timeline import read_timeline
from tests.tools.command import TINY, final_snapshot, generations_in, run, started, wait_until, workers_of

pytestmark = pytest.mark.cluster

# Slow enough that a signal meets a generation in progress.
SLOW = {"batch.instances": 32, "batch.seeds": 32, "budget.generations": 24, "plan.tile": 4}
SLOWLY = [text for name, value in SLOW.items() for text in (f"--{name}", value)]
CHUNKS = 3


def trained_here(folder: Path, overrides: dict[str, object]) -> Path:
    """The same run in this process, undisturbed."""
    train_run(TINY, folder, overrides=overrides, local=True, evaluate=False)
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_here(tmp_path_factory.mktemp("local") / "run", {})


@pytest.fixture(scope="module")
def slow_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_here(tmp_path_factory.mktemp("slow") / "run", SLOW)


@pytest.mark.parametrize(("workers", "devices"), [(3, 1), (1, 2)])
def test_ray_workers_give_the_bits_of_the_local_evaluator(
    workers: int, devices: int, reference: Path, tmp_path: Path
) -> None:
    options = ["--workers", workers, "--devices-per-worker", devices]
    result = run("train", TINY, *options, "--no-evaluate", "--run", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert f"{workers} workers ready" in result.stdout
    assert final_snapshot(tmp_path / "run") == final_snapshot(reference)
    assert (tmp_path / "run" / "journal.bin").read_bytes() == (reference / "journal.bin").read_bytes()


def test_phases_give_the_same_bits_on_ray(tmp_path: Path) -> None:
    """Gradient descent here, then two evolutions there, with another population and batch each."""
    phases = """
phases:
- {driver: {kind: gradient, optimizer: {learning_rate: 0.001}}}
- {start: weights, objective: {q: {start: 2, end: 8}}, driver: {population: 16, optimizer: {warmup: 2}}}
- {objective: {kind: expected}, batch: {seeds: 4, hardest_of: 16}}
"""
    config = tmp_path / "phases.yaml"
    config.write_text(TINY.read_text() + phases)
    train_run(config, tmp_path / "here", local=True, evaluate=False)
    result = run("train", config, "--workers", 2, "--no-evaluate", "--run", tmp_path / "there")
    assert result.returncode == 0, result.stderr
    assert final_snapshot(tmp_path / "there") == final_snapshot(tmp_path / "here")
    assert (tmp_path / "there" / "journal.bin").read_bytes() == (tmp_path / "here" / "journal.bin").read_bytes()


def test_sampled_actions_are_the_same_on_ray(tmp_path: Path) -> None:
    hunt = {"kind": "treasure_hunt", "rows": 2, "columns": 3, "steps": 5, "noise_width": 2, "hunters": 2}
    guided = {"kind": "guided", "keep": 2, "directions": "random", "q": {"start": 2, "end": 8}}
    settings = {"task": hunt, "objective": guided, "batch": {"instances": "all", "seeds": 4}}
    settings |= {"driver.temperature": {"start": 0.5, "end": 0.1}, "plan": {"chunk": 4, "tile": 2}}
    train_run(TINY, tmp_path / "here", overrides=settings, local=True, evaluate=False)
    options = [text for name, value in settings.items() for text in (f"--{name}", json.dumps(value))]
    result = run("train", TINY, *options, "--workers", 2, "--no-evaluate", "--run", tmp_path / "there")
    assert result.returncode == 0, result.stderr
    assert final_snapshot(tmp_path / "there") == final_snapshot(tmp_path / "here")
    assert (tmp_path / "there" / "journal.bin").read_bytes() == (tmp_path / "here" / "journal.bin").read_bytes()


def test_plan_and_updates_are_made_where_the_workers_are(reference: Path, tmp_path: Path) -> None:
    """Workers that claim an accelerator the coordinator does not have: the plan is theirs, and so are all updates."""
    folder, accelerators = tmp_path / "run", json.dumps({"TPU": 2})
    result = run("train", TINY, "--no-evaluate", "--run", folder, RAY_OVERRIDE_RESOURCES=accelerators)
    assert result.returncode == 0, result.stderr
    assert "2 workers ready" in result.stdout
    assert "computed by workers" in (folder / "run.log").read_text()
    assert (folder / "experiment.yaml").read_text() == (reference / "experiment.yaml").read_text()
    assert final_snapshot(folder) == final_snapshot(reference)
    shutil.rmtree(folder / "snapshots")
    (folder / "snapshots").mkdir()
    result = run("resume", folder, "--no-evaluate", RAY_OVERRIDE_RESOURCES=accelerators)  # all updates from the journal
    assert result.returncode == 0, result.stderr
    assert final_snapshot(folder) == final_snapshot(reference)


def test_neither_a_killed_worker_nor_a_killed_coordinator_changes_a_bit(slow_reference: Path, tmp_path: Path) -> None:
    folder, later = tmp_path / "run", random.Random().randrange(1, 8)
    with started("train", TINY, *SLOWLY, "--workers", 2, "--no-evaluate", "--run", folder) as process:
        wait_until(lambda: generations_in(folder) >= 3, "three generations")
        workers_of(process)[0].send_signal(signal.SIGKILL)
        wait_until(lambda: "a worker died" in (folder / "run.log").read_text(), "the loss to be noticed")
        generation = generations_in(folder) + later
        wait_until(lambda: generations_in(folder) >= generation, f"generation {generation}")
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    assert "2 workers ready" in output
    reached = generations_in(folder)
    assert generation <= reached < 24
    result = run("resume", folder, "--workers", 2, "--no-evaluate")
    assert result.returncode == 0, result.stderr
    assert final_snapshot(folder) == final_snapshot(slow_reference), f"killed at generation {reached}"
    assert (folder / "journal.bin").read_bytes() == (slow_reference / "journal.bin").read_bytes()


def test_what_a_killed_worker_did_is_told(slow_reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started("train", TINY, *SLOWLY, "--workers", 2, "--no-evaluate", "--run", folder) as process:
        wait_until(lambda: generations_in(folder) >= 3, "three generations")
        workers_of(process)[0].send_signal(signal.SIGKILL)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert re.search(
        r"worker [01] was lost with \d+ units under way; it had done \d+: machine \w+, pid \d+, cpu", output
    )
    stretches = read_timeline(folder / "workers").to_pylist()
    assert [row["fate"] for row in stretches].count("lost") == 1
    assert sum(row["units"] for row in stretches) >= 24 * CHUNKS
    assert {row["last_generation"] for row in stretches} >= {23}
    assert all(row["busy"] >= 0 and row["begin"] <= row["end"] for row in stretches)
    assert final_snapshot(folder) == final_snapshot(slow_reference)


def test_ctrl_c_saves_and_says_how_to_resume(slow_reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started("train", TINY, *SLOWLY, "--workers", 1, "--no-evaluate", "--run", folder) as process:
        wait_until(lambda: generations_in(folder) >= 5, "five generations")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everything in the foreground, Ray's too
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"resume with: es-randomized resume {folder}" in output
    assert 5 <= generations_in(folder) < 24
    assert run("resume", folder, "--local", "--no-evaluate").returncode == 0
    assert final_snapshot(folder) == final_snapshot(slow_reference)
