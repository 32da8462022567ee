"""Pooled votes against sums of log-probabilities in plain loops, run by run and node by node."""

import itertools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Evaluation
from es_randomized.evaluation.evaluate import evaluate, score
from es_randomized.evaluation.outcomes import Outcomes, bind
from es_randomized.evaluation.pooled import of_whole_groups, running_votes
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.evaluation.stored import score_of, summary_of, table_of
from es_randomized.evaluation.votes import majority
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.fitness import parameters
from es_randomized.models.transformer import Transformer
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.treasure_hunt import TreasureHunt

RUNS, SIZES = 11, [2, 5]
MODEL = Transformer(width=8, blocks=1, hidden=8)
RECALL = AssociativeRecall(n=3, bits=2, noise_width=2)
COLOURING = CycleColouring(n=7)


def random_runs(task, count=RUNS, members=1):
    """Runs of random weights whose outcomes differ."""
    scale = 0.6 * np.random.default_rng(3).normal(size=(members, parameters(MODEL, task)))
    return RepeatedRuns(task.seeds(jax.random.key(2), count), jnp.asarray(scale, jnp.float32), None)


def groups(k):
    return [range(start, start + k) for start in range(0, RUNS - k + 1, k)]


def outputs(task, runs, bundles):
    """Of the policy on every bundle in every run: [run, output, node, bundle]."""
    policy = bind(task, MODEL, runs.weights[0])

    def one(seed):
        return policy(task.observe(jnp.asarray(bundles), jnp.repeat(seed[..., None], bundles.shape[1], axis=-1))[0])

    return np.stack([jax.jit(one)(runs.seeds[..., run]) for run in range(RUNS)]).astype(float)


def test_recall_adds_log_odds_bit_by_bit():
    runs, stores = random_runs(RECALL), np.asarray(RECALL.sample(jax.random.key(1), 50))
    logits = outputs(RECALL, runs, stores)
    found = Outcomes(RECALL, MODEL).with_votes(runs, stores, SIZES)[1]
    assert list(found) == SIZES
    for k, right in found.items():
        assert right.shape == (150, RUNS // k)
        for vote, group in enumerate(groups(k)):
            for store, query in itertools.product(range(50), range(3)):
                odds = [math.fsum(logits[run, bit, query, store] for run in group) for bit in range(2)]
                assert min(map(abs, odds)) > 1e-5
                value = sum(2**bit for bit in range(2) if odds[bit] > 0)
                assert right[3 * store + query, vote] == (value == stores[query, store])
        assert 0 < right.mean() < 1


def pooled_colours(cycles, log_chances, group):
    """The likeliest colour of every vertex of every cycle, [position, instance]."""
    return np.argmax(sum(log_chances[run] for run in group), axis=0)


@pytest.mark.parametrize("runner", [Outcomes, WindowOutcomes])
def test_colouring_adds_log_probabilities_vertex_by_vertex(runner):
    runs, cycles = random_runs(COLOURING), COLOURING.enumerate()[:, ::3]
    logits = outputs(COLOURING, runs, cycles)
    log_chances = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = runner(COLOURING, MODEL).with_votes(runs, cycles, SIZES)[1]
    for k, right in found.items():
        for vote, group in enumerate(groups(k)):
            colours = pooled_colours(cycles, log_chances, group)
            proper = [all(a != b for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)) for cycle in colours.T]
            np.testing.assert_array_equal(right[:, vote], proper)
        assert 0 < right.mean() < 1


@pytest.mark.long
def test_a_group_of_one_run_decides_as_the_run_does():
    for task, bundles in ((RECALL, RECALL.sample(jax.random.key(1), 50)), (COLOURING, COLOURING.enumerate())):
        runs, outcomes = random_runs(task), Outcomes(task, MODEL)
        bundles = np.asarray(bundles)
        outcome, pooled = outcomes.with_votes(runs, bundles, [1])
        np.testing.assert_array_equal(pooled[1], outcome.success)
        np.testing.assert_array_equal(outcome.success, outcomes(runs, bundles).success)
        np.testing.assert_array_equal(outcome.answer, outcomes(runs, bundles).answer)


def test_a_run_that_knows_nothing_does_not_outvote_one_that_knows():
    """Two guesses against one certainty: the majority is wrong, the sum is right."""
    log_odds = jnp.array([-0.1, 4.0, -0.1])
    said, _ = running_votes(lambda run: (log_odds[run], ()), 3, jnp.array([3]), lambda total: total > 0)
    votes = of_whole_groups(np.asarray(said)[None], [3])
    assert votes[3].tolist() == [[True]]
    right = np.asarray(log_odds)[None] > 0
    assert majority(right.astype(np.int32), right, 3).tolist() == [[False]]


def test_nothing_is_pooled_of_sampled_outputs_or_where_a_task_says_nothing():
    stores = np.asarray(RECALL.sample(jax.random.key(1), 4))
    sampled = random_runs(RECALL)._replace(sampling=jax.random.split(jax.random.key(0), RUNS))
    assert Outcomes(RECALL, MODEL).with_votes(sampled, stores, SIZES)[1] == {}
    hunt = TreasureHunt(rows=2, columns=2, steps=4)
    assert Outcomes(hunt, MODEL).with_votes(random_runs(hunt), hunt.enumerate(), SIZES)[1] == {}


@pytest.fixture(scope="module")
def evaluated():
    experiment = Experiment(task=RECALL, model=MODEL, evaluation=Evaluation(seeds=RUNS, votes=SIZES, instances=30))
    return experiment, evaluate(experiment, random_runs(RECALL).weights[0])


def test_pooled_votes_are_scored_written_and_read(evaluated):
    _, found = evaluated
    assert list(found.pooled) == list(found.majority) == SIZES
    tree = summary_of(found)
    assert tree["pooled"]["5"]["average"]["value"] == found.pooled[5].average.value
    assert tree["pooled"]["5"]["sample"]["repeats"] == 2
    assert score_of(tree, table_of(found)).pooled == found.pooled
    del tree["pooled"]  # as evaluations of before
    assert score_of(tree, table_of(found)).pooled == {}


def test_the_score_of_pooled_votes_is_their_success(evaluated):
    experiment, _ = evaluated
    right = np.random.default_rng(0).uniform(size=(30, 5)) < 0.4
    success = np.ones((30, RUNS), bool)
    outcome = Outcomes(RECALL, MODEL)(random_runs(RECALL), np.zeros((3, 10), np.int32))._replace(success=success)
    found = score(experiment, outcome, "seed", np.zeros((3, 10), np.int32), False, {2: right})
    assert found.pooled[2].average.value == pytest.approx(right.mean())
    assert replace(found, pooled={}).pooled == {}
