"""Where randomness comes from: each source against its closed form or against the single runs it is made of."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Batch, Evaluation
from es_randomized.errors import ConfigError
from es_randomized.evaluation.evaluate import evaluate, evaluation_bundles
from es_randomized.evaluation.outcomes import VARIANTS_PER_STEP, Outcomes, bind
from es_randomized.evaluation.randomness import RepeatedRuns, SampledPolicy, frozen_seed, repeated_runs
from es_randomized.fitness import Fitness, parameters, unraveller
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.q_norm import QNorm
from es_randomized.tasks.associative_recall import AssociativeRecall
from tests.tools.function_policy import FunctionPolicy

TASK = AssociativeRecall(n=3, bits=2, noise_width=4)
MODEL = Transformer(width=6, blocks=1, hidden=8, stem=8)
EVALUATION = Evaluation(seeds=12, votes=[3], instances=12)
RANDOM = Experiment(task=TASK, model=MODEL, batch=Batch(instances=6, seeds=4), evaluation=EVALUATION, seed=3)
FIXED = replace(RANDOM, batch=Batch(instances=6, seeds=1, fixed_seed=True))
MEMBERS = jnp.asarray(np.random.default_rng(0).normal(size=(3, parameters(MODEL, TASK))).astype(np.float32))
STEP = VARIANTS_PER_STEP // 3
STORES = np.tile(np.random.default_rng(1).integers(0, 4, (3, STEP)).astype(np.int32), 2)  # two blocks that are equal
LOGITS = np.array([0.4, -1.0, 0.0, 1.2], np.float32)


@pytest.fixture(scope="module")
def outcomes():
    return Outcomes(TASK, MODEL)


# Sampled outputs


@pytest.fixture(scope="module", params=["one_of", "bits"])
def draws(request):
    """Outputs [output, draw] of a constant policy with noise: all at once, and at two slots one by one."""
    count = 5000

    def logits(tokens):
        return jnp.broadcast_to(LOGITS.reshape(4, *[1] * (tokens.ndim - 1)), tokens.shape)

    def sample(key):
        policy = SampledPolicy(FunctionPolicy(logits), key, request.param)
        slots = [policy.step(policy.empty(count), jnp.zeros((4, count)), slot)[0] for slot in (0, 1)]
        return policy(jnp.zeros((4, 2, count // 2))).reshape(4, -1), *slots

    return request.param, list(map(np.asarray, jax.jit(sample)(jax.random.key(0))))


def test_sampled_outputs_have_the_frequencies_of_their_distribution(draws):
    chance, (at_once, *slots) = draws
    for outputs in (at_once, *slots):
        if chance == "one_of":
            counts = np.bincount(outputs.argmax(axis=0), minlength=4)
            assert stats.chisquare(counts, 5000 * special.softmax(LOGITS.astype(float))).pvalue > 1e-3
        else:
            rates, exact = (outputs > 0).mean(axis=1), special.expit(LOGITS)
            assert (np.abs(rates - exact) < 4 * np.sqrt(exact * (1 - exact) / 5000)).all()
            assert np.abs(np.corrcoef(outputs > 0) - np.eye(4)).max() < 0.06


def test_every_slot_has_noise_of_its_own(draws):
    first, second = (outputs - LOGITS[:, None] for outputs in draws[1][1:])
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.04


@pytest.fixture(scope="module")
def sampled(outcomes):
    return outcomes(repeated_runs(RANDOM, MEMBERS[:1], "sampled", 300), STORES)


def test_sampled_bits_have_the_chances_the_policy_gives_them_with_the_frozen_seed(sampled):
    seeds = jnp.repeat(frozen_seed(RANDOM), STORES.shape[1], axis=1)

    def logits_of(weights):
        tokens, _ = TASK.observe(jnp.asarray(STORES), seeds)
        return bind(TASK, MODEL, weights)(tokens)

    logits = np.asarray(jax.jit(logits_of)(MEMBERS[0]))  # [bit, query, store]
    for bit in range(2):
        exact = special.expit(logits[bit].T.reshape(-1))
        rates = (sampled.answer >> bit & 1).mean(axis=1)
        assert (np.abs(rates - exact) < 5 * np.sqrt(exact * (1 - exact) / 300)).all()


def test_equal_instances_in_different_blocks_are_sampled_independently(sampled):
    half = 3 * STEP
    undecided = (sampled.answer.std(axis=1) > 0)[:half]
    differ = (sampled.answer[:half] != sampled.answer[half:]).any(axis=1)
    assert undecided.sum() > 20
    assert differ[undecided].mean() > 0.9


# Dropout


@pytest.fixture(scope="module")
def dropout():
    """Weights without and with dropout, each leaf with a leading axis `run`."""
    runs = repeated_runs(RANDOM, MEMBERS[:1], "dropout", 400, drop=0.3)
    assert runs.size == 400
    return jax.device_get(jax.jit(jax.vmap(unraveller(MODEL, TASK)))(jnp.concatenate([MEMBERS[:1], runs.weights])))


def masks(weights):
    """What hidden units are multiplied with: [mlp, run, unit]."""
    downs = np.stack([mlp["down"] for mlp in (weights["stem"], *weights["blocks"])])
    ratios = downs[:, 1:] / downs[:, :1]
    np.testing.assert_allclose(ratios, ratios[:, :, :1].repeat(MODEL.width, axis=2), atol=1e-5)
    return ratios[:, :, 0]


def test_dropout_keeps_or_drops_whole_hidden_units_at_its_rate(dropout):
    kept = masks(dropout)
    assert np.minimum(np.abs(kept), np.abs(kept - 1 / 0.7)).max() < 1e-5
    assert (kept < 0.5).mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / kept.size))


def test_dropout_keeps_the_expectation_of_every_hidden_unit(dropout):
    means = masks(dropout).mean(axis=1)
    np.testing.assert_allclose(means, 1, atol=4 * np.sqrt(0.3 / 0.7 / 400))


def test_units_are_dropped_independently(dropout):
    units = masks(dropout).transpose(1, 0, 2).reshape(400, -1)
    assert np.abs(np.corrcoef(units.T) - np.eye(units.shape[1])).max() < 0.25


def test_dropout_changes_nothing_else(dropout):
    for path, leaf in jax.tree_util.tree_leaves_with_path(dropout):
        if "'down'" not in jax.tree_util.keystr(path):
            np.testing.assert_array_equal(leaf, leaf[:1].repeat(401, axis=0))


# Ensembles and frozen seeds


def test_every_run_of_an_ensemble_is_that_member_with_the_frozen_seed(outcomes):
    stores = STORES[:, :STEP]
    together = outcomes(repeated_runs(RANDOM, MEMBERS, "ensemble", 12), stores)
    assert together.success.shape == (stores.size, 3)
    for member in range(3):
        alone = outcomes(RepeatedRuns(frozen_seed(RANDOM), MEMBERS[member : member + 1], None), stores)
        np.testing.assert_array_equal(together.answer[:, member], alone.answer[:, 0])
        np.testing.assert_allclose(together.loss[:, member], alone.loss[:, 0], rtol=1e-5)
    assert (together.answer[:, 0] != together.answer[:, 1]).any()


def test_without_randomness_there_is_one_run_and_no_interval(outcomes):
    score = evaluate(RANDOM, MEMBERS[0], randomness="none", runner=outcomes)
    estimates = [*score.single, score.groups["query"].estimate, score.groups["value"].estimate]
    assert score.runs == 1
    assert set(score.per_instance.tolist()) <= {0.0, 1.0}
    assert all(estimate.low == estimate.value == estimate.high for estimate in estimates)
    assert (score.majority, score.best_of, score.twin) == ({}, {}, None)


def training_seed(experiment, generation):
    """The seed that training shows in a generation, read off the first token."""
    fitness = Fitness(TASK, MODEL, QNorm(), experiment.batch, seed=experiment.seed, generations=10, tile=1, block=1)
    tokens, _ = jax.jit(fitness.observations)(np.uint32(generation))
    return tokens[0, -4:, 0]


def test_a_model_trained_on_one_seed_is_evaluated_with_that_seed(outcomes):
    seed = training_seed(FIXED, 7)
    score = evaluate(FIXED, MEMBERS[0], runner=outcomes)
    assert score.randomness == "none"
    bundles, _ = evaluation_bundles(FIXED)
    expected = outcomes(RepeatedRuns(seed, MEMBERS[:1], None), bundles)
    np.testing.assert_array_equal(score.success, expected.success[:, 0])
    np.testing.assert_array_equal(frozen_seed(FIXED), seed)
    assert (frozen_seed(RANDOM) != seed).any()


@pytest.mark.parametrize(("members", "randomness"), [(1, "ensemble"), (3, "seed")])
def test_several_weights_and_ensembles_belong_together(members, randomness):
    message = f"an ensemble is made of several runs, but {members} came with randomness: {randomness}"
    with pytest.raises(ConfigError, match=message):
        repeated_runs(RANDOM, MEMBERS[:members], randomness, 12)
