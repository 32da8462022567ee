"""Comparisons against scipy, against plain loops, and on checkpoints whose difference is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from es_randomized.config.sections import Evaluation
from es_randomized.config.yaml import load
from es_randomized.drivers.layout import first_weights
from es_randomized.evaluation.compare import compare_runs, paired, votes_of_groups, welch
from es_randomized.evaluation.evaluate import evaluate
from es_randomized.evaluation.of_runs import Trained, newest
from es_randomized.runs.folder import RunFolder
from es_randomized.tasks.measure import UNBOUNDED, Bounds, Measure

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
CONFIDENCE = 0.9
STEPS, REWARD = Measure("loss", "steps"), Measure("reward", "points", higher_is_better=True)


@pytest.fixture
def outcomes():
    """Two policies on 30 instances under the same 40 seeds, which move both."""
    generator = np.random.default_rng(3)
    instances, seeds = generator.normal(size=(30, 1)), generator.normal(size=(1, 40))
    a = 9 + instances + seeds + generator.normal(size=(30, 40))
    return a, a + 0.3 + 0.8 * generator.normal(size=(30, 40))


def test_the_average_is_a_paired_t_test_over_seeds(outcomes):
    a, b = outcomes
    found = paired(a, b, 0, CONFIDENCE, STEPS)["average"]
    expected = stats.ttest_rel(a.mean(axis=0), b.mean(axis=0))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference[1:] == pytest.approx(tuple(expected.confidence_interval(CONFIDENCE)))
    assert found.difference.value == pytest.approx(found.a - found.b)


def test_sampled_instances_widen_the_interval_by_their_own_variance(outcomes):
    a, b = outcomes
    found = paired(a, b, 5, CONFIDENCE, STEPS)["average"].difference
    difference = a - b
    bundles = [difference[start : start + 5].mean() for start in range(0, 30, 5)]
    error = np.hypot(stats.sem(difference.mean(axis=0)), stats.sem(bundles))
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.95, 5) * error)


def test_the_interval_of_sampled_instances_and_seeds_holds_as_often_as_it_says():
    generator, held = np.random.default_rng(4), 0
    for _ in range(200):
        effects = 0.3 * generator.normal(size=(20, 1)) + 0.3 * generator.normal(size=(1, 20))
        a = 1 + effects + generator.normal(size=(20, 20))
        difference = paired(a, np.zeros((20, 1)), 1, CONFIDENCE, STEPS)["average"].difference
        held += difference.low <= 1 <= difference.high
    assert held >= 180


@pytest.mark.parametrize("measure", [STEPS, REWARD])
def test_worst_instances_are_chosen_on_one_half_and_compared_on_the_other(outcomes, measure):
    chosen = min if measure is REWARD else max
    rows = [chosen(x.tolist(), key=lambda row: sum(row[:20]))[20:] for x in outcomes]
    found = paired(*outcomes, 0, CONFIDENCE, measure)["worst"]
    expected = stats.ttest_rel(*rows)
    assert (found.a, found.b) == pytest.approx((np.mean(rows[0]), np.mean(rows[1])))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference[1:] == pytest.approx(tuple(expected.confidence_interval(CONFIDENCE)))


@pytest.mark.parametrize(("measure", "level"), [(STEPS, 0.95), (REWARD, 0.05)])
def test_the_quantiles_interval_is_that_of_a_bootstrap_over_seeds(outcomes, measure, level):
    a, b = outcomes
    found = paired(a, b, 0, CONFIDENCE, measure)["p95"]
    columns = np.random.default_rng(5).integers(0, 40, (2000, 40))
    resampled = [np.quantile(a[:, c].mean(1), level) - np.quantile(b[:, c].mean(1), level) for c in columns]
    assert found.difference.value == np.quantile(a.mean(1), level) - np.quantile(b.mean(1), level)
    assert found.difference[1:] == pytest.approx(tuple(np.quantile(resampled, [0.05, 0.95])), abs=0.06)


def test_policies_without_seeds_differ_exactly():
    a, b = np.array([[3.0], [9.0]]), np.array([[5.0], [5.0]])
    found = paired(a, b, 0, CONFIDENCE, STEPS)
    assert found["average"].difference == (1.0, 1.0, 1.0)
    assert (found["worst"].a, found["worst"].b, found["worst"].p) == (9.0, 5.0, 0.0)


def test_one_frozen_seed_meets_many_fresh_ones(outcomes):
    a, b = outcomes[0], np.full((30, 1), 9.0)
    found = paired(a, b, 0, CONFIDENCE, STEPS)["average"]
    assert found.p == pytest.approx(stats.ttest_1samp(a.mean(axis=0), 9.0).pvalue)


def test_groups_are_compared_by_welch():
    a, b = [8.46, 12.0, 8.58], [20.0, 15.0, 20.0, 17.0]
    found, expected = welch(np.array(a), np.array(b), CONFIDENCE, UNBOUNDED), stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference[1:] == pytest.approx(tuple(expected.confidence_interval(CONFIDENCE)))
    assert welch(np.full(2, 20.0), np.full(3, 20.0), CONFIDENCE, UNBOUNDED).p == 1.0
    assert welch(np.full(2, 8.0), np.full(2, 20.0), CONFIDENCE, UNBOUNDED).difference == (-12.0, -12.0, -12.0)


def trained(name):
    run = newest(RunFolder(CHECKPOINTS / name))
    return run._replace(experiment=replace(run.experiment, evaluation=Evaluation(seeds=60, votes=[])))


def test_a_run_does_not_differ_from_itself():
    experiment = load(Path(__file__).parents[1] / "tiny_gradient.yaml")
    run = Trained(experiment, first_weights(experiment)[0], "fresh weights")
    same = compare_runs(run, run)
    assert all(found.difference.value == 0 and found.p in (1.0, None) for found in same.differences.values())
    assert [same.better(measure) for measure in same.differences] == [None] * 3
    assert not same.per_instance.any()


@pytest.mark.long
def test_votes_of_two_runs_are_those_of_their_evaluations():
    experiment = load(Path(__file__).parents[1] / "tiny_gradient.yaml")
    experiment = replace(experiment, evaluation=Evaluation(seeds=12, votes=[2, 5], instances=40))
    weights = [scale * first_weights(experiment)[0] for scale in (3.0, -3.0)]
    a, b = (Trained(experiment, of_run, "weights") for of_run in weights)
    found = compare_runs(a, b).votes
    assert list(found) == ["majority of 2", "majority of 5", "2 runs pooled", "5 runs pooled"]
    for name, kind, k in (("majority of 5", "majority", 5), ("2 runs pooled", "pooled", 2)):
        scores = [getattr(evaluate(experiment, of_run), kind)[k] for of_run in weights]
        assert found[name]["average"][:2] == pytest.approx([score.average.value for score in scores])
        assert found[name]["p95"][:2] == pytest.approx([score.p95.value for score in scores])


def test_votes_of_groups_are_compared_where_all_runs_have_them():
    def tree(value, kinds):
        level = {name: {"value": value} for name in ("average", "p95", "worst")}
        return {kind: {"5": level} for kind in kinds}

    both, old = ("majority", "pooled"), ("majority",)
    first, second = [tree(0.5, both), tree(0.7, both)], [tree(0.2, both), tree(0.3, both)]
    found = votes_of_groups(first, second, CONFIDENCE)
    assert list(found) == ["majority of 5", "5 runs pooled"]
    expected = welch(np.array([0.5, 0.7]), np.array([0.2, 0.3]), CONFIDENCE, Bounds(0.0, 1.0))
    assert found["5 runs pooled"]["worst"] == expected
    assert list(votes_of_groups(first, [*second, tree(0.2, old)], CONFIDENCE)) == ["majority of 5"]


@pytest.mark.long
def test_different_checkpoints_differ():
    found = compare_runs(trained("treasure-3x3-1"), trained("treasure-3x3-0"))
    assert found.better("average") == found.better("worst") == "B"
    assert found.differences["average"].b == pytest.approx(7.375)
    assert found.differences["average"].p < 0.01
