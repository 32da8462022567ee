"""What `bench --against` says of two measurements that are written here."""

import json

import pytest
from click.testing import CliRunner

from es_randomized.cli.main import cli
from es_randomized.config.yaml import dump, load
from es_randomized.errors import ConfigError
from es_randomized.scaling.against import Change, changes, check_same, read_measurement
from tests.tools.command import TINY


def spread(low, median, high):
    return {"low": float(low), "median": float(median), "high": float(high)}


def test_rates_and_costs_are_told_the_worst_first():
    before = {"1": {"members per second": spread(90, 100, 110), "seconds of the coordinator": spread(1, 2, 3)}}
    now = {
        1: {"members per second": spread(40, 50, 60), "seconds of the coordinator": spread(2, 3, 4)},
        2: {"members per second": spread(1, 1, 1), "seconds of the coordinator": spread(1, 1, 1)},
    }
    assert changes(before, now) == [
        Change(1, "members per second", 100, 50, factor=2.0, clear=True),
        Change(1, "seconds of the coordinator", 2, 3, factor=1.5, clear=False),
    ]
    (better, _) = reversed(changes({"1": now[1]}, {1: before["1"]}))
    assert (better.factor, better.clear) == (0.5, True)


def test_other_experiments_are_refused(tmp_path):
    file = tmp_path / "old.json"
    experiment = dump(load(TINY))
    tree = {"experiment": experiment, "measured": {}, "hardware": {}}
    file.write_text(json.dumps(tree))
    check_same(file, read_measurement(file), dump(load(TINY, {"seed": 9, "budget.generations": 3})))
    with pytest.raises(ConfigError, match="they differ in batch, model"):
        check_same(file, tree, dump(load(TINY, {"model.width": 64, "batch.seeds": 7})))
    result = CliRunner().invoke(cli, ["bench", str(TINY), "--model.width", "64", "--against", str(file)])
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize("text", ["[1]", "no JSON", '{"experiment": {}}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(ConfigError, match="was not written by bench --json"):
        read_measurement(tmp_path / "old.json")
