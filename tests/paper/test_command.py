"""`reproduce` and `evaluate --randomness`: a toy figure, its trials used again and scored again, all in this process."""

import json
from pathlib import Path

import pytest

from tests.tools.command import run_here

pytestmark = pytest.mark.long  # whole trainings, for a quarter of a minute and more

TOY = Path(__file__).parents[1] / "toy_figure.yaml"


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    out = tmp_path_factory.mktemp("reproduction")
    return out, run_here("reproduce", TOY, "--out", out, "--local")


def test_a_toy_figure_from_nothing_to_numbers_and_picture(reproduced):
    out, result = reproduced
    assert result.returncode == 0, result.stderr
    assert "2 trials, 0 of them done" in result.stdout
    assert str(out / "toy_figure-small.png") in result.stdout
    assert (out / "toy_figure-small.png").read_bytes().startswith(b"\x89PNG")
    tree = json.loads((out / "toy_figure-small.json").read_text())
    assert tree["provenance"]["packages"]["jax"]
    assert tree["hardware"]["cores"]
    assert {name for name, trial in tree["trials"].items() if trial["finished"]} == {"fresh-q3-seed0", "fresh-seed0"}
    along, beside = tree["panels"]
    (point,) = along["curves"][0]["points"]
    evaluation = json.loads((out / "toy_figure/small/fresh-q3-seed0/evaluation.json").read_text())
    assert point["mean"] == pytest.approx(100 * evaluation["average"]["value"])
    assert point["low"] is None, "one training seed has no interval"
    assert point["sample"] == {"training_seeds": 1} | evaluation["sample"]
    assert beside["lines"] == [{"label": "exact optimum (two rounds, identifiers)", "measure": "worst", "value": 100.0}]
    assert [curve["answer"] for curve in along["curves"]] == ["one run", "sampled", "majority of 5"]
    sampled = json.loads((out / "toy_figure/small/fresh-seed0/evaluation-sampled.json").read_text())
    assert sampled["randomness"] == "sampled"


def written(out):
    """When every file of the trials was written."""
    return {path: path.stat().st_mtime_ns for path in out.glob("toy_figure/small/*/**/*") if path.is_file()}


def test_the_second_time_nothing_is_trained_even_without_records(reproduced):
    """A folder that was trained before trials kept records, or by itself, counts by its contents."""
    out, _ = reproduced
    for record in out.rglob("trial.json"):
        record.unlink()
    before = written(out)
    result = run_here("reproduce", TOY, "--out", out)
    assert result.returncode == 0, result.stderr
    assert "2 trials, 2 of them done" in result.stdout
    assert written(out) == before


def test_other_sources_of_randomness_are_kept_beside_the_own_one(reproduced):
    out, _ = reproduced
    folder = out / "toy_figure/small/fresh-seed0"
    result = run_here("evaluate", folder, "--randomness", "none")
    assert result.returncode == 0, result.stderr
    assert "one frozen seed" in result.stdout
    assert json.loads((folder / "evaluation-none.json").read_text())["sample"]["seeds"] == 1
    result = run_here("evaluate", folder, out / "toy_figure/small/fresh-q3-seed0")
    assert result.returncode == 1
    assert "an ensemble is made of runs that differ in their seed alone, but objective differ" in result.stderr


def test_a_name_that_is_no_figure_is_answered_with_the_nearest():
    result = run_here("reproduce", "fig33")
    assert result.returncode == 1
    assert "no figure is called 'fig33'; did you mean fig3?" in result.stderr
