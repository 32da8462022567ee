"""The commands as a newcomer uses them, on configurations that ship."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from es_randomized.runs.metrics import read_metrics
from tests.tools.command import TINY, TINY_GRADIENT, final_snapshot, run, run_here


@pytest.mark.cluster
def test_train_evaluate_show_on_ray(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("train", TINY, "--run", folder)
    assert result.returncode == 0, result.stderr
    for words in ("learned, one run", "majority of 5", "exact optimum", "trial colouring, 2 rounds", str(folder)):
        assert words in result.stdout
    assert f"resume:     es-randomized resume {folder}" in result.stdout
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["sample"] == {"instances": 12, "enumerated": True, "confidence": 0.95, "seeds": 20}
    assert set(evaluation) >= {"average", "p95", "worst", "majority", "best_of", "twin", "reference"}
    assert evaluation["reference"]["average"] == 1.0
    rates = pq.read_table(folder / "evaluation.parquet")["success"].to_pylist()
    assert sum(rates) / 12 == pytest.approx(evaluation["average"]["value"], abs=1e-6)
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["packages"]["jax"]

    shown = run_here("show", folder)
    assert shown.returncode == 0, shown.stderr
    assert "parameters" in shown.stdout
    assert "12 generations, 1,152 rollouts, 5,760 tokens" in shown.stdout


def test_gradient_descent_needs_no_ray_and_resumes_exactly(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run_here("train", TINY_GRADIENT, "--no-evaluate", "--run", folder)
    assert result.returncode == 0, result.stderr
    assert "gradient descent by backpropagation, in this process on one device" in result.stdout
    assert "Ray" not in result.stdout
    finished, losses = final_snapshot(folder), (folder / "journal.bin").read_bytes()
    rows = read_metrics(folder / "metrics").to_pylist()
    assert (rows[-1]["rollouts"], rows[-1]["tokens"]) == (12 * 8, 12 * 40)
    assert rows[-1]["device_seconds"] == rows[-1]["seconds"] > 0
    (curves,) = folder.glob("events.out.tfevents.*")
    assert b"held_out/worst" in curves.read_bytes()

    for snapshot in (folder / "snapshots").iterdir():
        snapshot.unlink()
    (folder / "journal.bin").write_bytes(losses[: len(losses) * 2 // 3])  # as if killed, in the middle of a record
    result = run_here("resume", folder, "--no-evaluate")
    assert result.returncode == 0, result.stderr
    assert final_snapshot(folder) == finished
    assert (folder / "journal.bin").read_bytes() == losses
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1


def test_show_says_what_a_change_would_cost() -> None:
    result = run_here("show", TINY, "--driver.population", 24, "--model.precision", "bfloat16")
    assert result.returncode == 0, result.stderr
    assert "4 members, 6 chunks" in result.stdout
    assert "4 bundles of 1 × 2 seeds = 8" in result.stdout
    assert "precision: bfloat16" in result.stdout
    assert "GFLOP of bfloat16 numbers" in result.stdout


@pytest.mark.long
def test_show_says_of_later_phases_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "phased.yaml"
    file.write_text(TINY.read_text() + "phases: [{batch: {seeds: 1}}, {}, {driver: {population: 24}}]\n")
    result = run_here("show", file)
    assert result.returncode == 0, result.stderr
    first, second, third = re.split("│ phase .*", result.stdout[result.stdout.index("one generation") :])
    rollouts = [re.search(r"│ rollouts +│ ([\d,]+) ", text) for text in (first, second, third)]
    assert [match and int(match[1]) for match in rollouts] == [12 * 4, 12 * 8, 24 * 8]
    assert "members" in first
    assert "│ members" not in second
    assert "│ members" in third


def test_strategies_lists_offered_and_refused() -> None:
    result = run_here("strategies")
    assert result.returncode == 0
    assert "Sep_CMA_ES" in result.stdout
    assert "refused: evosax takes an elementwise exponential" in " ".join(result.stdout.split())


def test_seconds_stop_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = ["--local", "--no-evaluate", "--budget.generations", 1_000_000, "--budget.seconds", 1.0]
    result = run_here("train", TINY, "--run", folder, *options)
    assert result.returncode == 0, result.stderr
    assert "out of time" in result.stdout
    assert f"es-randomized resume {folder}" in result.stdout


@pytest.mark.long
def test_a_run_branches_and_its_past_can_be_replayed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run_here("train", TINY, "--local", "--no-evaluate", "--run", folder).returncode == 0
    branched = run_here("branch", folder, "--at", 5, "--driver.optimizer.learning_rate", 0.5)
    assert branched.returncode == 0, branched.stderr
    assert f"branched before generation 5: es-randomized resume {folder}-at-5" in branched.stdout
    assert run_here("resume", f"{folder}-at-5", "--local", "--no-evaluate").returncode == 0
    assert final_snapshot(tmp_path / "run-at-5") != final_snapshot(folder)
    replayed = run_here("replay", folder)
    assert replayed.returncode == 0, replayed.stderr
    assert "12 generations replayed; snapshots compared: " in replayed.stdout
    too_far = run_here("branch", folder, "--at", 99)
    assert too_far.returncode == 1
    assert "has 12 generations, so there is no state before 99" in too_far.stderr
