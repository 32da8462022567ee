"""Specialists against a loop in NumPy, and what they are for: a direction to use the seed where no other objective has one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, driver_of, local_evaluator, rng, train
from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.input_kinds import Draws, InputKinds
from es_randomized.objectives.above import Above
from es_randomized.objectives.expected import Expected
from es_randomized.objectives.guided import Guided
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.specialists import Specialists
from es_randomized.objectives.split_batch import SplitBatch
from es_randomized.schedules import Schedule
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.treasure_hunt import TreasureHunt

GENERATOR = np.random.default_rng(0)
INSTANCES = np.array([2, 0, 4, 1, 3, 4])
NUMBERS = GENERATOR.normal(size=(3, 8)).astype(np.float32)
FEATURES = GENERATOR.normal(size=(2, 5)).astype(np.float32)
LOSSES = GENERATOR.uniform(-1, 3, (6, 8)).astype(np.float32)


def drawn(features=None, instances=INSTANCES, numbers=NUMBERS):
    kinds = InputKinds(5, lambda bundles: bundles, lambda seeds: seeds, features)
    key = rng.address(7, rng.Purpose.SPECIALISTS)
    return Draws(kinds, jnp.asarray(instances), jnp.asarray(numbers), key)


def slow_weights(objective, vectors, instances=INSTANCES, numbers=NUMBERS):
    """Seed by seed; `vectors` are the rows that a seed's first numbers are multiplied with, one per kind."""
    weights = np.zeros((len(instances), numbers.shape[1]))
    for seed, r in enumerate(numbers.T):
        scores = [float(np.dot(vector, r[: len(vector)])) for vector in vectors]
        best = sorted(range(len(scores)), key=lambda kind: -scores[kind])[: objective.keep]
        column = np.array([1.0 if kind in best else objective.rest for kind in instances])
        weights[:, seed] = column / column.sum() if column.any() else 1 / len(instances)
    return weights


def random_directions():
    return directions((5, 3))


def directions(shape):
    vectors = np.asarray(jax.random.normal(rng.address(7, rng.Purpose.SPECIALISTS), shape))
    return vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True))


CASES = {"random": (None, random_directions), "features": (FEATURES, lambda: FEATURES.T)}


@pytest.mark.parametrize(
    "objective", [Specialists(keep=1), Specialists(keep=3, rest=0.25), Specialists(keep=2, rest=1.0)]
)
@pytest.mark.parametrize("case", CASES)
def test_weights_and_value_are_those_of_a_loop(objective, case):
    features, vectors = CASES[case]
    expected = slow_weights(objective, vectors())
    found = jax.jit(lambda: objective.weights(drawn(features)))()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(np.sum(found, axis=0), 1, rtol=1e-6)
    value = jax.jit(lambda losses: objective.on(lambda: drawn(features))(losses))(LOSSES)
    assert float(value) == pytest.approx((expected * LOSSES).sum(axis=0).mean(), rel=1e-5)


def test_a_rest_of_1_is_the_mean_and_a_seed_none_of_whose_kinds_is_here_counts_all_alike():
    everything = Specialists(keep=2, rest=1.0).on(drawn)
    assert float(everything(jnp.asarray(LOSSES))) == pytest.approx(LOSSES.mean(), rel=1e-5)
    instances = np.array([1, 1, 3, 3])
    weights = np.asarray(Specialists(keep=1).weights(drawn(instances=instances)))
    np.testing.assert_allclose(weights, slow_weights(Specialists(keep=1), random_directions(), instances), rtol=1e-5)
    assert (weights == 0.25).all(axis=0).any(), "some seed's kind is neither 1 nor 3"


def test_features_need_as_many_numbers_of_a_seed():
    short = NUMBERS[:1]
    vectors = directions((5, 1))
    found = Specialists(keep=2).weights(drawn(FEATURES, numbers=short))
    np.testing.assert_allclose(found, slow_weights(Specialists(keep=2), vectors, numbers=short), rtol=1e-5)


def test_random_directions_leave_features_out():
    objective = Specialists(keep=2, directions="random")
    np.testing.assert_allclose(
        objective.weights(drawn(FEATURES)), slow_weights(objective, random_directions()), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("by", "halves"),
    [("instances", (np.s_[:3, :], np.s_[3:, :])), ("seeds", (np.s_[:, :4], np.s_[:, 4:]))],
)
def test_either_half_of_a_batch_has_weights_of_its_own(by, halves):
    objective = Specialists(keep=2, rest=0.5)
    found = SplitBatch(objective, by).on(drawn)(jnp.asarray(LOSSES))
    whole = (slow_weights(objective, random_directions()) * LOSSES).sum(axis=0).mean()
    twins = [
        (slow_weights(objective, random_directions(), INSTANCES[half[0]], NUMBERS[:, half[1]]) * LOSSES[half]).sum(
            axis=0
        )
        for half in halves
    ]
    np.testing.assert_allclose(found, [whole, *(twin.mean() for twin in twins)], rtol=1e-5)


@pytest.mark.parametrize("q", [6.0, Schedule(start=6.0, end=12.0)], ids=["constant", "schedule"])
def test_guided_is_a_q_norm_and_specialists_in_shares(q):
    objective = Guided(q=q, keep=2, share=0.3, directions="random")
    above = Above(objective, -1.0)  # the losses' own lower bound, which the power needs
    found = jax.jit(lambda losses: above.given(jnp.float32(6)).on(lambda: drawn(FEATURES))(losses))(LOSSES)
    norm = ((LOSSES.astype(float).mean(axis=1) + 1) ** 6).mean() ** (1 / 6) - 1
    weights = slow_weights(Specialists(keep=2), random_directions())
    assert float(found) == pytest.approx(0.7 * norm + 0.3 * (weights * LOSSES).sum(axis=0).mean(), rel=1e-5)


def test_guided_halves_have_specialists_and_q_norms_of_their_own():
    split = SplitBatch(Guided(q=2.0, keep=2, share=0.5), "seeds").given(jnp.float32(2)).on(drawn)
    found = split(jnp.abs(LOSSES))
    for half, value in zip((np.s_[:], np.s_[:4], np.s_[4:]), found, strict=True):
        losses = np.abs(LOSSES[:, half]).astype(float)
        weights = slow_weights(Specialists(keep=2), random_directions(), numbers=NUMBERS[:, half])
        norm = (losses.mean(axis=1) ** 2).mean() ** 0.5
        assert float(value) == pytest.approx(0.5 * norm + 0.5 * (weights * losses).sum(axis=0).mean(), rel=1e-5)


def test_objectives_of_expected_losses_never_ask_what_was_drawn():
    def asked():
        raise AssertionError

    for objective in (QNorm(), Above(QNorm(), -1.0), SplitBatch(Expected(), "seeds")):
        before = objective(jnp.abs(LOSSES))
        np.testing.assert_array_equal(objective.on(asked)(jnp.abs(LOSSES)), before)


# The tasks' kinds


def test_a_query_to_a_store_has_its_key_as_kind_and_bits_of_a_seed_are_signs():
    task = AssociativeRecall(n=3, bits=2, noise_width=4)
    np.testing.assert_array_equal(task.kinds.of(np.zeros((3, 2), int)), [0, 1, 2, 0, 1, 2])
    seeds = task.seeds(jax.random.key(0), 50)
    np.testing.assert_array_equal(task.kinds.numbers(seeds), np.where(np.asarray(seeds) > 0.5, 1, -1))


def test_a_treasure_has_its_offset_from_the_centre():
    task = TreasureHunt(rows=2, columns=3, obstacles=[[0, 1]])
    assert task.kinds.count == 4
    cells = {tuple(divmod(int(cell), 3)) for cell in task.treasures}
    assert {(down + 0.5, right + 1.0) for down, right in task.kinds.features.T.tolist()} == cells
    np.testing.assert_array_equal(task.kinds.of(task.enumerate()), range(4))


# Whole experiments

EXPERIMENT = """
task: {task}
model: {{width: 6, blocks: 1, hidden: 6}}
objective: {objective}
batch: {{instances: {instances}, seeds: 4}}
driver: {driver}
budget: {{generations: 3}}
plan: {{chunk: 4, tile: 4}}
seed: 5
"""
RECALL = "{kind: associative_recall, n: 4, bits: 2, noise_width: 3}"
HUNT = "{kind: treasure_hunt, rows: 2, columns: 2, steps: 3, noise_width: 2}"
KEEP_2 = "{kind: specialists, keep: 2, rest: 0.25}"
SPECIALISTS = Specialists(keep=2, rest=0.25)
GRADIENT = "{kind: gradient}"
HALVES = "{kind: Past_ES, population: 8, std: 0.5, past: noise_aware, optimizer: {kind: sgd, learning_rate: 0.05}}"


def experiment(task=RECALL, driver=GRADIENT, objective=KEEP_2, instances=8):
    return parse(EXPERIMENT.format(task=task, driver=driver, objective=objective, instances=instances))


@pytest.mark.long
def test_both_drivers_train_on_the_loss_of_a_slow_twin():
    """The draws of generation 2 made again from the run's seed, and the losses of its cases weighed in NumPy."""
    gradient, generation = driver_of(experiment()), 2
    task, run = gradient.experiment.task, jax.jit(gradient.fitness.losses)
    seeds = jax.jit(lambda: task.seeds(rng.address(5, rng.Purpose.SEEDS, generation), 4))()
    vectors = jax.random.normal(rng.address(5, rng.Purpose.SPECIALISTS), (4, 3))
    weights = slow_weights(SPECIALISTS, np.asarray(vectors), np.tile(np.arange(4), 2), 2 * np.asarray(seeds) - 1)

    def twin(member):
        return (weights * np.asarray(run(member, np.uint32(generation)))).sum(axis=0).mean()

    centre = gradient.centre(gradient.init())
    found, _ = jax.jit(gradient.gradient)(centre, gradient.fitness.inputs(generation))
    assert float(found) == pytest.approx(twin(centre), rel=1e-5)
    evolution = driver_of(experiment(driver="{kind: Open_ES, population: 4}"))
    assert isinstance(evolution, Evolution)
    ask = evolution.strategy.ask(evolution.init(), generation)
    members = np.asarray(evolution.strategy.everyone(ask.proposal))
    np.testing.assert_allclose(local_evaluator(evolution).evaluate(ask), [twin(each) for each in members], rtol=1e-5)


def test_a_shared_program_takes_the_run_s_vectors_from_its_seed():
    fitness = driver_of(experiment()).fitness
    weights = jax.jit(lambda inputs: fitness.at(inputs).objective.weights)
    for seed in (5, 6):
        seeds = jax.jit(lambda seed=seed: fitness.task.seeds(rng.address(seed, rng.Purpose.SEEDS, 1), 4))()
        vectors = np.asarray(jax.random.normal(rng.address(seed, rng.Purpose.SPECIALISTS), (4, 3)))
        expected = slow_weights(SPECIALISTS, vectors, np.tile(np.arange(4), 2), 2 * np.asarray(seeds) - 1)
        np.testing.assert_allclose(weights(fitness.inputs(1)._replace(seed=np.uint32(seed))), expected, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("driver", [GRADIENT, HALVES], ids=["score function", "halves"])
def test_hunts_train_by_either_driver(driver):
    driver = driver_of(experiment(HUNT, driver, instances="all"))
    first = driver.init()
    for step in train(driver, local_evaluator(driver), first):
        assert np.isfinite(step.losses).all()
    assert step.generation == 2
    assert (np.asarray(driver.centre(step.state)) != np.asarray(driver.centre(first))).any()


def slope_of_using_the_seed(objective):
    """The derivative of the objective of many seeds at a policy that ignores its seed, in the direction of using it.

    Losses [instance, seed] are 1 + how * (push of the seed's first number on every kind), so that their mean over seeds
    stays 1 for every instance: the numbers are half -1 and half +1.
    """
    numbers = np.tile(np.array([[-1.0, 1.0], [1.0, -1.0]], np.float32), 4)
    push = np.outer(np.array([1.0, -0.5, 0.25, 2.0, -1.0], np.float32)[INSTANCES], numbers[0])
    met = objective.on(lambda: drawn(numbers=numbers))
    return float(jax.grad(lambda how: met(1.0 + how * jnp.asarray(push)))(0.0))


def test_no_objective_of_expected_losses_says_how_to_use_the_seed_and_specialists_do():
    assert slope_of_using_the_seed(QNorm(q=8.0)) == pytest.approx(0, abs=1e-6)
    assert abs(slope_of_using_the_seed(Specialists(keep=2))) > 0.1
    assert abs(slope_of_using_the_seed(Guided(q=8.0, keep=2).given(jnp.float32(8)))) > 0.05


def test_a_policy_that_ignores_its_seed_has_a_gradient_to_use_it():
    """A linear read-out of the seed that is 0: over all 8 seeds the q-norm has no derivative, specialists have one."""
    task = AssociativeRecall(n=4, bits=1, noise_width=3)
    seeds = jnp.asarray(np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1), jnp.float32)
    store = jnp.array([[0], [1], [1], [0]])
    values = np.array([0.0, 1.0, 1.0, 0.0])[:, None]
    kinds = task.kinds
    draws = Draws(kinds, kinds.of(store), kinds.numbers(seeds), rng.address(7, rng.Purpose.SPECIALISTS))

    def losses(weights):  # logits [key, seed]: of signs of the seed
        logits = weights @ kinds.numbers(seeds)
        return jax.nn.softplus(logits) - values * logits

    for objective, zero in ((QNorm(q=8.0), True), (Specialists(keep=2), False)):
        met = objective.on(lambda: draws)
        slope = jax.grad(lambda weights, met=met: met(losses(weights)))(jnp.zeros((4, 3)))
        assert (np.abs(slope) < 1e-7).all() == zero


# What cannot be trained so


def test_a_task_without_kinds_and_too_many_kept_kinds_are_refused_when_the_experiment_is_built():
    message = r"specialists looks at the kinds of inputs, and CycleColouring has none; declare the property kinds"
    with pytest.raises(ConfigError, match=message):
        experiment("{kind: cycle_colouring, n: 5}")
    message = r"objective.keep is 4, but this task has 4 kinds of inputs, .* use 1 to 3"
    with pytest.raises(ConfigError, match=message):
        experiment(objective="{kind: specialists, keep: 4}")
    with pytest.raises(ConfigError, match=r"objective.rest"):
        experiment(objective="{kind: specialists, keep: 2, rest: 1.5}")
    with pytest.raises(ConfigError, match=r"objective.keep is 4, but this task has 4 kinds of inputs"):
        experiment(objective="{kind: guided, keep: 4}")
    with pytest.raises(ConfigError, match=r"q must be at least 1"):
        experiment(objective="{kind: guided, keep: 2, q: 0.5}")


def test_specialists_have_no_value_before_they_know_what_was_drawn():
    with pytest.raises(ValueError, match="take the objective of a generation with `on`"):
        Specialists(keep=2)(jnp.asarray(LOSSES))
