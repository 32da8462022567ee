"""`report` and `compare` as they are called: what they print, and what they refuse."""

import json
import shutil
from pathlib import Path

import pytest
from scipy import stats

from tests.tools.command import run_here

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def call(*arguments):
    """Call the command: its status, what it printed, and its errors."""
    result = run_here(*arguments)
    return result.returncode, " ".join(result.stdout.split()), result.stderr


@pytest.fixture
def groups(tmp_path):
    """Two groups of two runs each, whose worst treasures cost about 8 and about 20 steps."""
    worst = {"robust-0": 8.0, "robust-1": 8.4, "expected-0": 20.0, "expected-1": 19.0}
    for name, value in worst.items():
        kind, seed = name.split("-")
        shutil.copytree(CHECKPOINTS / "treasure-3x3-0", tmp_path / name)
        config = (tmp_path / name / "experiment.yaml").read_text().replace("\nseed: 0", f"\nseed: {seed}")
        q = "  q: 8.0" if kind == "robust" else "  q: 1.0"
        (tmp_path / name / "experiment.yaml").write_text(config.replace("  q: 8.0", q))
        tree = json.loads((tmp_path / name / "evaluation.json").read_text())
        tree["worst"]["value"] = value
        (tmp_path / name / "evaluation.json").write_text(json.dumps(tree))
    return [tmp_path / name for name in worst]


def test_groups_of_training_seeds_are_compared_by_their_evaluations(groups):
    status, out, _ = call("compare", *groups)
    assert status == 0
    assert "2 and 2 training seeds" in out
    expected = stats.ttest_ind([8.0, 8.4], [20.0, 19.0], equal_var=False)
    low, high = (f"{end:.2f}".replace("-", "−") for end in expected.confidence_interval(0.95))
    assert f"│ worst │ 8.20 │ 19.50 │ −11.30 [{low}, {high}] │ {expected.pvalue:.3f} │" in out
    assert out.endswith(
        "robust (2 training seeds) is better than expected (2 training seeds) at the worst instance; "
        "on average and at the worst 5 % of the instances no difference was found."
    )


def test_what_cannot_be_compared(groups):
    assert "two runs are needed" in call("compare", groups[0])[2]
    assert "but these are 1: robust (2)" in call("compare", *groups[:2], groups[0])[2]
    assert "expected-0 has one run, but how much training varies takes two or more" in call("compare", *groups[:3])[2]
    (groups[3] / "evaluation.json").unlink()
    status, _, errors = call("compare", *groups)
    assert status == 1
    assert f"expected-1 was not evaluated; first es-randomized evaluate {groups[3]}" in errors
    assert "have different tasks" in call("compare", groups[0], CHECKPOINTS / "recall-gradient-0")[2]


def test_report_says_where_the_page_is(groups, tmp_path):
    (groups[0] / "evaluation.json").unlink()
    status, out, _ = call("report", groups[0], "--out", tmp_path / "page")
    assert status == 0
    assert out.startswith(f"page: {tmp_path / 'page' / 'index.html'} (0.")
    assert (tmp_path / "page" / "learning-worst.png").exists()


def test_report_of_no_run(tmp_path):
    status, _, errors = call("report", tmp_path)
    assert status == 1
    assert f"{tmp_path} is not a run folder" in errors
