"""Time to a quality: which runs count, what is refused, and one real race of one and two workers."""

import json
import math

import pytest

from es_randomized.config.yaml import load
from es_randomized.errors import ConfigError
from es_randomized.scaling.time_to import TimesTo, until
from tests.tools.command import TINY, run_here


@pytest.mark.parametrize(
    ("seconds", "typical"),
    [([3.0], 3.0), ([1.0, 3.0], 2.0), ([9.0, 1.0, 4.0], 4.0), ([1.0, math.inf, 5.0, 2.0, 3.0], 3.0)],
)
def test_the_fastest_and_the_slowest_of_several_do_not_count(seconds, typical):
    assert TimesTo(2, seconds).typical == typical


def test_with_most_runs_out_of_budget_there_is_no_typical_time():
    assert math.isinf(TimesTo(2, [1.0, math.inf, math.inf]).typical)


@pytest.mark.parametrize("text", ["p95", "p95=", "best=3", "p95=many", "=3", "p95=nan"])
def test_what_is_no_target_is_refused(text):
    with pytest.raises(ConfigError, match="expected average, p95 or worst and a number"):
        until(load(TINY), text)


def test_a_target_that_the_measure_cannot_reach_is_refused_before_anything_is_trained():
    result = run_here("bench", TINY, "--to", "p95=7", "--workers", 1)
    assert result.returncode != 0
    assert "budget.until.p95 is 7" in result.stderr


def test_what_would_be_ignored_is_refused(tmp_path):
    (tmp_path / "old.json").write_text("{}")
    result = run_here("bench", TINY, "--to", "p95=0.5", "--against", tmp_path / "old.json")
    assert result.returncode != 0
    assert "--to and --against measure different things" in result.stderr


@pytest.mark.cluster
def test_a_race_of_one_and_two_workers(tmp_path):
    file = tmp_path / "to.json"
    result = run_here("bench", TINY, "--to", "average=0.0", "--runs", 1, "--workers", 2, "--json", file)
    assert result.returncode == 0, result.stderr
    found = json.loads(file.read_text())["seconds by workers"]
    assert set(found) == {"1", "2"}
    assert all(seconds > 0 for (seconds,) in found.values())
    assert "times as fast" in result.stdout
