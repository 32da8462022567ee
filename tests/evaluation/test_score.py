"""Scores of constructed outcomes: groups, frozen twins and measures, against plain loops; evaluations of before."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Evaluation
from es_randomized.evaluation.evaluate import score
from es_randomized.evaluation.stored import measure_of, score_of, stored, summary_of, table_of
from es_randomized.report.material import read
from es_randomized.report.tables import results
from es_randomized.runs.folder import RunFolder
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.measure import UNBOUNDED
from es_randomized.tasks.task import Outcome
from es_randomized.tasks.treasure_hunt import TreasureHunt

CHECKPOINTS = sorted((Path(__file__).parents[2] / "checkpoints").iterdir())
BEFORE = [path for path in CHECKPOINTS if '"headline"' in (path / "evaluation.json").read_text()]
RUNS, HALF = 40, 20
RECALL = Experiment(task=AssociativeRecall(n=3, bits=2), evaluation=Evaluation(seeds=RUNS, votes=[5]))
HUNT = replace(RECALL, task=TreasureHunt(rows=3, columns=3, steps=9))
STORES = np.random.default_rng(0).integers(0, 4, (3, 8)).astype(np.int32)


def recall_outcome(chances, runs=RUNS):
    """Success of 8 stores x 3 queries, each query with its own chance."""
    success = np.random.default_rng(1).uniform(size=(24, runs)) < np.tile(chances, 8)[:, None]
    return Outcome(np.where(success, 0.1, 2.0), success, success.astype(np.int32))


def hunt_outcome(slow):
    """Steps of 8 treasures, more for the treasure `slow`; found where they are fewer than 18."""
    steps = np.random.default_rng(2).integers(4, 12, (8, RUNS)).astype(np.float32)
    steps[slow] += 7
    return Outcome(steps, steps < 18, np.zeros((8, RUNS), np.int32))


@pytest.fixture(scope="module")
def recall():
    outcome = recall_outcome([0.9, 0.5, 0.7])
    return outcome, score(RECALL, outcome, "seed", STORES, False)


def test_the_worst_group_is_chosen_on_one_half_of_the_runs_and_estimated_on_the_other(recall):
    outcome, found = recall
    members = {
        "query": [[3 * store + query for store in range(8)] for query in range(3)],
        "value": [[3 * s + q for s in range(8) for q in range(3) if STORES[q, s] == value] for value in range(4)],
    }
    for name, groups in members.items():
        first = [np.mean(outcome.success[ids, :HALF]) for ids in groups]
        second = [np.mean(outcome.success[ids, HALF:]) for ids in groups]
        worst = int(np.argmin(first))
        assert found.groups[name].group == worst
        assert found.groups[name].estimate.value == pytest.approx(second[worst])
    low, high = found.groups["query"].estimate[1:]
    assert found.groups["query"].group == 1
    assert low < 0.5 < high


def test_every_group_has_its_average_with_an_interval_over_runs(recall):
    outcome, found = recall
    for query, estimate in enumerate(found.by_group["query"]):
        by_run = [np.mean([outcome.success[3 * store + query, run] for store in range(8)]) for run in range(RUNS)]
        error = np.std(by_run, ddof=1) / RUNS**0.5
        expected = stats.t.interval(0.95, RUNS - 1, np.mean(by_run), error)
        assert estimate.value == pytest.approx(np.mean(by_run))
        assert estimate[1:] == pytest.approx(np.clip(expected, 0, 1))


def test_the_worst_group_of_a_single_run_is_exact():
    outcome = recall_outcome([1.0, 0.5, 0.7], runs=1)
    found = score(RECALL, outcome, "none", STORES, False).groups["query"]
    rates = outcome.success[:, 0].reshape(8, 3).mean(axis=0)
    assert found.group == np.argmin(rates)
    assert found.estimate == pytest.approx([rates.min()] * 3)


def test_losses_are_measured_where_the_task_says_so():
    outcome = hunt_outcome(slow=5)
    found = score(HUNT, outcome, "seed", HUNT.task.enumerate(), True)
    assert found.single.average.value == pytest.approx(outcome.loss.mean())
    assert found.single.worst.value == pytest.approx(outcome.loss[5, HALF:].mean())
    assert found.single.worst.high <= HUNT.task.loss_bounds.high == 18
    np.testing.assert_allclose(found.per_instance, outcome.loss.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.success, outcome.success.mean(axis=1), rtol=1e-6)
    measure = {"name": "loss", "unit": "total steps", "bounds": [0, 18], "higher_is_better": False}
    assert json.loads(json.dumps(summary_of(found)))["measure"] == measure


@pytest.mark.parametrize("experiment", [RECALL, HUNT], ids=["success", "loss"])
def test_the_frozen_twin_is_the_best_seed_of_the_first_half(experiment):
    if experiment is RECALL:
        outcome, bundles = recall_outcome([0.9, 0.5, 0.7]), STORES
        outcome.success[:, -1] = True  # luckier, but in the second half
        merit = outcome.success.astype(float)
    else:
        outcome, bundles = hunt_outcome(slow=5), HUNT.task.enumerate()
        outcome.loss[:, -1] = 2
        merit = -outcome.loss
    best = max(range(HALF), key=lambda seed: merit[:, seed].mean())
    twin = score(experiment, outcome, "seed", bundles, False).twin
    assert twin.average.value == pytest.approx(abs(merit[:, best].mean()))
    assert twin.worst.value == pytest.approx(abs(merit[:, best].min()))


def test_shares_by_run_say_how_many_instances_depend_on_the_seed():
    success = np.ones((24, RUNS), bool)
    success[:6], success[6:8, ::2] = False, False
    found = score(RECALL, Outcome(success * 1.0, success, success * 1), "seed", STORES, False)
    assert found.by_run() == pytest.approx({"always": 16 / 24, "depends_on_seed": 2 / 24, "never": 6 / 24})


# Evaluations of before there were measures


def test_evaluations_of_before_are_still_shipped():
    assert len(BEFORE) >= 3
    assert all("measure" not in json.loads((path / "evaluation.json").read_text()) for path in BEFORE)


@pytest.mark.parametrize("folder", BEFORE, ids=lambda folder: folder.name)
def test_shipped_evaluations_of_before_are_read_and_shown(folder):
    tree = json.loads((folder / "evaluation.json").read_text())
    (group,) = read([RunFolder(folder)])
    measure = measure_of(stored(RunFolder(folder)).summary)
    assert replace(group.measure, bounds=measure.bounds) == measure
    scale, digits = (1, 2) if tree["headline"] == "loss" else (100, 1)
    rows = {row[0]: row[1:] for row in results(group, references=True).rows}
    for name, part in (("learned, one run", tree), ("the same, seed frozen", tree["twin"])):
        for cell, level in zip(rows[name], ("average", "p95", "worst"), strict=True):
            assert cell.split()[0] == f"{scale * part[level]['value']:.{digits}f}"


@pytest.mark.parametrize("experiment", [RECALL, HUNT], ids=["success", "loss"])
def test_the_whole_score_of_an_evaluation_of_before_is_read(experiment):
    outcome, bundles = (recall_outcome([0.9, 0.5, 0.7]), STORES) if experiment is RECALL else (
        hunt_outcome(slow=5), HUNT.task.enumerate()
    )  # fmt: skip
    written = score(experiment, outcome, "seed", bundles, False)
    tree = summary_of(written)
    measure = tree.pop("measure")
    tree |= {"headline": measure["name"], "unit": "loss" if experiment is RECALL else measure["unit"]}
    found = score_of(tree, table_of(written))
    bounds = written.measure.bounds if experiment is RECALL else UNBOUNDED  # which nobody wrote down
    assert found.measure == replace(written.measure, bounds=bounds)
    assert summary_of(replace(found, measure=written.measure)) == summary_of(written)
    np.testing.assert_array_equal(found.per_instance, written.per_instance)
