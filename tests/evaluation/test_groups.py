"""Runs fall into groups by everything but their seed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from es_randomized import driver_of, load
from es_randomized.errors import ConfigError, RunFolderError
from es_randomized.evaluation.groups import comparable, grouped
from es_randomized.runs.folder import RunFolder
from tests.tools.command import TINY

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def groups(*paths):
    return [(group.name, list(group.runs)) for group in grouped([RunFolder(path) for path in paths])]


def copied(tmp_path, name, settings=("", "")):
    shutil.copytree(CHECKPOINTS / "treasure-3x3-0", tmp_path / name)
    file = tmp_path / name / "experiment.yaml"
    file.write_text(file.read_text().replace(*settings))
    return tmp_path / name


def test_runs_that_differ_in_seed_and_plan_alone_are_one_group(tmp_path):
    one = copied(tmp_path, "robust-seed1", ("\nseed: 0", "\nseed: 1"))
    two = copied(tmp_path, "robust-seed2", ("\nseed: 0", "\nseed: 2"))
    planned = copied(tmp_path, "robust-seed3", ("  chunk: 16", "  chunk: 32"))
    other = copied(tmp_path, "expected", ("q: 8.0", "q: 1.0"))
    assert groups(one, other, two, planned) == [("robust", [1, 2, 0]), ("expected", [0])]


def test_a_folder_named_twice_counts_once(tmp_path):
    one = copied(tmp_path, "one")
    assert groups(one, tmp_path / "." / "one" / ".." / "one") == [("one", [0])]


def test_groups_of_the_same_folder_names_are_told_apart_by_where_they_are(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    names = [f"{part}/{seed}" for part in "ab" for seed in range(2)]
    changes = [("q: 8.0\nbatch", f"q: {q}\nbatch") for q in (1.0, 1.0, 2.0, 2.0)]
    paths = [copied(tmp_path, name, change) for name, change in zip(names, changes, strict=True)]
    for path in (paths[1], paths[3]):
        (path / "experiment.yaml").write_text((path / "experiment.yaml").read_text().replace("\nseed: 0", "\nseed: 1"))
    assert groups(*paths) == [("a", [0, 1]), ("b", [0, 1])]


def test_one_training_is_not_counted_twice(tmp_path):
    with pytest.raises(ConfigError, match="the same experiment with the same seed 0, so they are one run"):
        groups(copied(tmp_path, "one"), copied(tmp_path, "two"))


def test_other_tasks_and_other_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"another task than .*treasure-3x3-0"):
        groups(CHECKPOINTS / "treasure-3x3-0", CHECKPOINTS / "recall-gradient-0")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        groups(tmp_path)


def test_the_plans_of_phases_are_no_difference():
    experiment = load(TINY, {"phases": [{}, {"driver": {"population": 8}}]})
    resolved = driver_of(experiment).experiment
    assert resolved.phases[1].plan is not None
    assert comparable(resolved) == comparable(replace(experiment, seed=5))
    assert comparable(resolved) != comparable(load(TINY, {"phases": [{}, {"driver": {"population": 16}}]}))
