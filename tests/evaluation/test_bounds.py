"""Losses of any sign and size: intervals contain their estimate, lie in the bounds, and are those of NumPy and of formulas."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Evaluation
from es_randomized.drivers.layout import first_weights
from es_randomized.errors import ConfigError
from es_randomized.evaluation.compare import paired, welch
from es_randomized.evaluation.evaluate import score
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.evaluation.outcomes import within_bounds
from es_randomized.evaluation.statistics import levels, losses_of, mean_estimate
from es_randomized.evaluation.stored import estimate_of, measure_of, score_of, summary_of, table_of
from es_randomized.objectives.expected import Expected
from es_randomized.settings import settings as task_settings
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.measure import SUCCESS, Bounds, Measure
from es_randomized.tasks.task import Outcome, Task

LOSS, REWARD = Measure("loss", "points"), Measure("reward", "points", higher_is_better=True)
SIZES = {
    "negative": (-5.0, -2.0),
    "mixed": (-3.0, 4.0),
    "huge": (-1e30, 1e30),
    "tiny": (1e-9, 2e-9),
    "offset": (1e6, 1e6 + 1),
}
LEAST, MOST = float(np.float32(-3e38)), float(np.float32(3e38))

sizes = pytest.mark.parametrize("size", SIZES)


def losses_between(low, high, shape=(12, 20), seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


@st.composite
def matrices(draw):
    """Losses [instance, run] of any size, often equal ones, and bounds that hold for them."""
    values = st.one_of(st.floats(LEAST, MOST, width=32), st.sampled_from([0.0, 0.1, -0.1, 1e30, -7.3]))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 8)))
    losses = draw(arrays(np.float32, shape, elements=values, fill=values))
    low = draw(st.sampled_from([-np.inf, float(losses.min())]))
    high = draw(st.sampled_from([np.inf, float(losses.max())]))
    return losses, Bounds(low, high)


@settings(deadline=None, max_examples=150)
@given(matrices(), st.booleans(), st.floats(0.5, 0.99))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, near the largest number there is
def test_every_interval_contains_its_estimate_and_lies_in_the_bounds(case, higher_is_better, confidence):
    losses, bounds = case
    measure = Measure("loss", "points", bounds)
    values = losses
    if higher_is_better:
        values, measure = -losses, Measure("reward", "points", Bounds(-bounds.high, -bounds.low), True)
    estimates = [(estimate, measure.bounds) for estimate in levels(values, measure, confidence)]
    estimates += [(estimate, bounds) for estimate in losses_of(losses, confidence, bounds)[:2]]
    for estimate, (low, high) in estimates:
        assert low <= estimate.low <= estimate.value <= estimate.high <= high
    reach = bounds.high - bounds.low
    for difference in paired(values, values[::-1], 0, confidence, measure).values():
        assert -reach <= difference.difference.low <= difference.difference.value <= difference.difference.high <= reach


@given(st.floats(LEAST, MOST, width=32), st.integers(2, 50))
def test_the_mean_of_equal_values_is_that_value_and_exact(value, count):
    assert mean_estimate(np.full(count, value), 0.95, Bounds(value, value)) == (value, value, value)


@sizes
@pytest.mark.parametrize("measure", [LOSS, REWARD], ids=["loss", "reward"])
def test_levels_are_those_of_numpy_and_student(size, measure):
    losses = losses_between(*SIZES[size])
    values = -losses if measure is REWARD else losses
    found = levels(values, measure, 0.9)
    exact = values.astype(float)
    by_run, by_instance = exact.mean(axis=0), exact.mean(axis=1)
    scale = np.abs(exact).max()
    interval = stats.t.interval(0.9, 19, by_run.mean(), stats.sem(by_run))
    np.testing.assert_allclose(found.average, [by_run.mean(), *interval], rtol=1e-7, atol=1e-9 * scale)
    level, chosen = (0.05, np.argmin) if measure is REWARD else (0.95, np.argmax)
    np.testing.assert_allclose(found.p95.value, np.quantile(by_instance, level), rtol=1e-7)
    held_out = exact[chosen(exact[:, :10].mean(axis=1)), 10:]
    assert found.worst.value == pytest.approx(held_out.mean(), rel=1e-7)
    student = stats.t.interval(0.9, 9, held_out.mean(), stats.sem(held_out))
    worse, better = (1, 2) if measure is REWARD else (2, 1)
    assert np.isinf(found.worst[worse])  # no range is known, so no bound of the true worst instance
    assert found.worst[better] == pytest.approx(student[better - 1], rel=1e-7, abs=1e-9 * scale)


@sizes
def test_a_known_range_bounds_the_worst_instance_wherever_it_lies(size):
    """Maurer & Pontil (2009), theorem 4, for losses that are shifted and divided by their range."""
    low, high = SIZES[size]
    losses = losses_between(low, high, (1, 400)).astype(float)
    unit, log = (losses[0] - low) / (high - low), np.log(2 / 0.05)
    bound = unit.mean() + np.sqrt(2 * unit.var(ddof=1) * log / 400) + 7 * log / (3 * 399)
    found = levels(losses, Measure("loss", "points", Bounds(low, high)), 0.9).worst
    assert bound < 1
    assert found.high == pytest.approx(low + bound * (high - low), rel=1e-7)


@sizes
def test_the_share_of_variance_between_runs_knows_neither_sign_nor_size(size):
    low, high = SIZES[size]
    unit = np.random.default_rng(0).uniform(size=(50, 20))
    share = losses_of(unit, 0.95).between_runs
    assert losses_of(low + (high - low) * unit, 0.95).between_runs == pytest.approx(share, rel=1e-3)


@sizes
def test_groups_of_runs_of_any_size_are_compared_by_welch(size):
    a, b = (
        losses_between(*SIZES[size], shape=4).astype(float),
        losses_between(*SIZES[size], shape=5, seed=1).astype(float),
    )
    expected = stats.ttest_ind(a, b, equal_var=False)
    found = welch(a, b, 0.9, LOSS.bounds)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference[1:] == pytest.approx(tuple(expected.confidence_interval(0.9)))


class Rewarded(AssociativeRecall):
    """Recall that is measured by a reward; nothing is known of its losses."""

    @property
    def loss_bounds(self):
        return Bounds()

    @property
    def measure(self):
        return REWARD


STORES = np.random.default_rng(0).integers(0, 4, (3, 8)).astype(np.int32)
RECALL = Experiment(task=Rewarded(n=3, bits=2), objective=Expected(), evaluation=Evaluation(seeds=20, votes=[]))


@pytest.fixture(scope="module")
def rewarded():
    losses = losses_between(-9, -1, (24, 20))
    success = losses < -5
    return losses, score(RECALL, Outcome(losses, success, success * 1), "seed", STORES, False)


def test_groups_twins_and_instances_of_a_reward_are_those_of_plain_loops(rewarded):
    losses, found = rewarded
    rewards = -losses.astype(float)
    queries = [rewards[query::3] for query in range(3)]
    worst = int(np.argmin([rows[:, :10].mean() for rows in queries]))
    assert found.groups["query"].group == worst
    assert found.groups["query"].estimate.value == pytest.approx(queries[worst][:, 10:].mean())
    assert found.groups["query"].estimate.low == -np.inf
    assert [part.value for part in found.by_group["query"]] == pytest.approx([rows.mean() for rows in queries])
    luckiest = int(np.argmax(rewards[:, :10].mean(axis=0)))
    assert found.twin.average.value == pytest.approx(rewards[:, luckiest].mean())
    assert found.twin.worst.value == pytest.approx(rewards[:, luckiest].min())
    np.testing.assert_allclose(found.per_instance, rewards.mean(axis=1), rtol=1e-6)
    assert found.losses.average.value == pytest.approx(losses.mean())


def test_what_is_not_known_is_null_on_disk_and_read_back(rewarded):
    found = rewarded[1]
    text = json.dumps(summary_of(found), allow_nan=False)
    tree = json.loads(text)
    assert tree["measure"]["bounds"] == [None, None]
    assert tree["worst"]["low"] is None
    assert estimate_of(tree["worst"]) == found.single.worst
    assert measure_of(tree) == REWARD
    table = table_of(found)
    np.testing.assert_array_equal(table["reward"].to_numpy(), found.per_instance)
    assert summary_of(score_of(tree, table)) == summary_of(found)


def test_a_task_that_is_wrong_about_its_bounds_is_told():
    losses = losses_between(-9, -1, (24, 20))
    outcome = Outcome(losses, losses < -5, (losses < -5) * 1)
    with pytest.raises(ConfigError, match=r"losses lie between 0 and inf, but one is -8\.9.*correct its loss_bounds"):
        within_bounds(AssociativeRecall(n=3, bits=2), outcome)


@task_settings
class Rewarding(AssociativeRecall):
    """Says that its losses are at least 0, which is false."""

    def rollout(self, policy, observations):
        outcome = AssociativeRecall.rollout(self, policy, observations)
        return outcome._replace(loss=outcome.loss - 10)


def test_training_tells_at_its_first_held_out_check():
    experiment = replace(RECALL, task=Rewarding(n=3, bits=2))
    weights, _ = first_weights(experiment)
    with pytest.raises(ConfigError, match=r"Rewarding says .* between 0 and inf, but one is -9"):
        HeldOut(experiment)(weights)


def test_rounding_past_a_bound_is_no_error():
    losses = np.full((24, 20), -1e-6, np.float32)
    outcome = within_bounds(AssociativeRecall(n=3, bits=2), Outcome(losses, losses < 0, (losses < 0) * 1))
    found = score(replace(RECALL, task=AssociativeRecall(n=3, bits=2)), outcome, "seed", STORES, False)
    assert found.losses.average == (0, 0, 0)


def test_a_task_of_before_is_told_what_replaces_its_headline():
    with pytest.raises(
        ConfigError, match="Old has headline, which tasks no longer have; give it the properties `measure`"
    ):
        type("Old", (Task,), {"headline": "loss"})


# What people read


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14159, "3.14"),
        (-3.5, "-3.50"),
        (0.0, "0.00"),
        (1e30, "1e+30"),
        (-2.5e9, "-2.5e+09"),
        (0.00123, "0.00123"),
        (-1e-9, "-1e-09"),
    ],
)
def test_numbers_of_any_size_can_be_read(value, text):
    assert LOSS.text(value) == text


def test_measures_say_what_they_are_and_which_way_is_better():
    assert (SUCCESS.label, LOSS.label, REWARD.label) == (
        "success in %",
        "points (lower is better)",
        "points (higher is better)",
    )
    assert (SUCCESS.with_unit(0.5), LOSS.with_unit(-2.0)) == ("50.0 %", "-2.00")
    assert LOSS.interval((1.0, 0.5, np.inf)) == LOSS.interval((1.0, 0.5, None)) == "1.00 [0.50, no bound known]"
    assert REWARD.interval((1.0, 1.0, 1.0)) == "1.00"
    assert (SUCCESS.loss_form.noun, REWARD.loss_form.bounds) == ("failure", Bounds())
    assert REWARD.loss_form.higher_is_better is SUCCESS.loss_form.higher_is_better is False
    for measure, value in ((SUCCESS, 0.25), (REWARD, -4.0), (LOSS, 3.0)):
        assert measure.as_loss(measure.as_loss(value)) == value
    assert (SUCCESS.as_loss(0.25), REWARD.as_loss(-4.0)) == (0.75, 4.0)


def test_shares_that_are_no_success_are_read_in_percent_too():
    covered = Measure("coverage", "%", Bounds(0.0, 1.0), higher_is_better=True)
    assert (covered.label, covered.with_unit(0.25)) == ("coverage in % (higher is better)", "25.0 %")
    assert (covered.loss_form.label, covered.loss_form.bounds) == ("1 - coverage in % (lower is better)", (0.0, 1.0))
