"""Fitness against a plain loop over members, instances and seeds, and what its layout must not change."""

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from es_randomized import rng
from es_randomized.cases import pair
from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Batch, Plan
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.local_evaluator import LocalEvaluator
from es_randomized.errors import ConfigError, MemoryBudgetError
from es_randomized.fitness import Fitness, Members, parameters, unraveller
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.q_norm import QNorm
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring

TASK = CycleColouring(n=5)
MODEL = Transformer(width=4, blocks=1, hidden=4)
BATCH = Batch(instances=6, seeds=4)
GENERATION = np.uint32(3)
MEMBERS = np.random.default_rng(0).normal(size=(4, parameters(MODEL, TASK))).astype(np.float32)


def fitness(batch=BATCH, tile=12, block=1, seed=9):
    return Fitness(TASK, MODEL, QNorm(q=3.0), batch, seed=seed, generations=10, tile=tile, block=block)


def losses(members, generation=GENERATION, **settings):
    run, rows = fitness(**settings), jnp.arange(len(members))

    def of(all_, inputs):
        made = Members(lambda row: all_[row], lambda weights, sign: run.unravel(weights), np.ones(1, np.float32))
        return run(rows, made, inputs)

    return np.asarray(jax.jit(of)(members, run.inputs(int(generation))))[:, 0]


@jax.jit
def one_case(member, instance, seed):
    policy = MODEL.policy(unraveller(MODEL, TASK)(member), TASK.interface)
    return TASK.rollout(policy, TASK.observe(instance[:, None], seed[..., None])).loss[0, 0]


def looped(members, seed=9, generation=3):
    """The q-norm with q = 3 in NumPy, of one case at a time."""
    draw = rng.address(seed, rng.Purpose.INSTANCES, generation), rng.address(seed, rng.Purpose.SEEDS, generation)
    instances = np.asarray(TASK.sample(draw[0], BATCH.instances))
    seeds = np.asarray(TASK.seeds(draw[1], BATCH.seeds))
    values = []
    for member in members:
        cases = [[float(one_case(member, x, r)) for r in seeds.transpose(2, 0, 1)] for x in instances.T]
        values.append((np.array(cases).mean(axis=1) ** 3).mean() ** (1 / 3))
    return np.array(values)


def noise_by_vertex(batch, generation):
    """What the observations show: for every case, the noise of vertices 0, 1, ... and the cycle."""
    tokens, cycles = jax.device_get(jax.jit(fitness(batch, tile=batch.cases(TASK)).observations)(np.uint32(generation)))
    noise, cycles = tokens[0, -1], cycles[0]
    return np.take_along_axis(noise, np.argsort(cycles, axis=0), axis=0), cycles


def test_losses_equal_a_plain_loop():
    np.testing.assert_allclose(losses(MEMBERS), looped(MEMBERS), rtol=1e-6)


@pytest.mark.parametrize(("tile", "block"), [(1, 1), (8, 1), (24, 1), (12, 3), (24, 4)])
def test_the_layout_does_not_change_losses(tile, block):
    np.testing.assert_allclose(losses(MEMBERS, tile=tile, block=block), losses(MEMBERS), rtol=1e-6)


def test_all_members_meet_the_same_cases():
    alike = np.repeat(MEMBERS[:1], 4, axis=0)
    assert len(set(losses(alike).tolist())) == 1
    np.testing.assert_array_equal(losses(MEMBERS[::-1])[::-1], losses(MEMBERS))


def test_every_generation_and_every_experiment_has_its_own_cases():
    found = [losses(MEMBERS), losses(MEMBERS, np.uint32(4)), losses(MEMBERS, seed=10)]
    assert len({value for row in found for value in row.tolist()}) == 12


def test_every_instance_is_paired_with_every_seed():
    instances, seeds = pair(np.arange(3)[None] + 10, np.arange(2)[None])
    assert list(zip(instances[0].tolist(), seeds[0].tolist(), strict=True)) == [
        (10, 0),
        (10, 1),
        (11, 0),
        (11, 1),
        (12, 0),
        (12, 1),
    ]


def test_a_batch_shares_its_seeds_between_instances_and_draws_fresh_ones_every_generation():
    noise, cycles = noise_by_vertex(BATCH, 3)
    by_instance = noise.reshape(5, 6, 4)
    np.testing.assert_array_equal(by_instance, np.repeat(by_instance[:, :1], 6, axis=1))
    assert len(np.unique(noise)) == 5 * 4
    later, other_cycles = noise_by_vertex(BATCH, 4)
    assert not np.isin(later, noise).any()
    assert (cycles != other_cycles).any()


def test_a_fixed_seed_never_changes_while_instances_do():
    batch = Batch(instances=6, seeds=1, fixed_seed=True)
    drawn = [noise_by_vertex(batch, generation) for generation in (0, 1, 50)]
    assert {tuple(column) for noise, _ in drawn for column in noise.T.tolist()} == {tuple(drawn[0][0][:, 0].tolist())}
    assert (drawn[0][1] != drawn[1][1]).any()


def test_a_fixed_seed_needs_one_seed():
    with pytest.raises(ValidationError, match="fixed_seed trains on one seed, but seeds is 8; set seeds: 1"):
        Batch(fixed_seed=True)


# The compiled unit of work


@pytest.fixture(scope="module")
def evolution():
    experiment = Experiment(
        task=TASK, model=MODEL, batch=BATCH, driver=Open_ES.Settings(population=8), plan=Plan(chunk=2), seed=9
    )
    return Evolution.of(experiment)


def test_the_evaluator_returns_the_losses_of_the_members_in_order(evolution):
    ask = evolution.strategy.ask(evolution.init(), 3)
    found = LocalEvaluator(evolution).evaluate(ask)
    np.testing.assert_allclose(found, looped(np.asarray(evolution.strategy.everyone(ask.proposal))), rtol=1e-6)


def test_a_tile_that_does_not_divide_the_cases_is_refused(evolution):
    experiment = evolution.experiment
    with pytest.raises(MemoryBudgetError, match=r"plan\.tile is 5, but it must divide the 24 cases of a member"):
        Evolution.of(replace(experiment, plan=Plan(chunk=2, tile=5)))


# Bundles


RECALL = AssociativeRecall(n=3, bits=2, noise_width=2)


def test_losses_of_bundles_are_those_of_their_instances_one_by_one():
    member = np.random.default_rng(0).normal(size=parameters(MODEL, RECALL)).astype(np.float32)
    batch = Batch(instances=12, seeds=2)
    fitness = Fitness(RECALL, MODEL, QNorm(q=3.0), batch, seed=9, generations=10, tile=4, block=1)
    matrix = jax.jit(fitness.losses)(member, GENERATION)
    places = [rng.address(9, purpose, 3) for purpose in (rng.Purpose.INSTANCES, rng.Purpose.SEEDS)]
    stores, seeds = jax.jit(lambda: (RECALL.sample(places[0], 4), RECALL.seeds(places[1], 2)))()
    policy = MODEL.policy(unraveller(MODEL, RECALL)(member), RECALL.interface)
    single = jax.jit(lambda store, seed: RECALL.rollout(policy, RECALL.observe(store, seed)).loss[:, 0])
    for bundle, seed in product(range(4), range(2)):
        alone = single(stores[:, bundle : bundle + 1], seeds[:, seed : seed + 1])
        np.testing.assert_allclose(matrix[3 * bundle : 3 * bundle + 3, seed], alone, rtol=1e-5)


def test_a_batch_counts_whole_bundles():
    assert Batch(instances=12, seeds=2).bundles(RECALL) == 4
    assert Batch(instances=12, seeds=2).cases(RECALL) == 8
    message = "batch.instances is 10, but this task's instances come in bundles of 3; use 9"
    with pytest.raises(ConfigError, match=message):
        Batch(instances=10).bundles(RECALL)


def test_a_batch_of_all_instances_holds_each_once():
    batch = Batch(instances="all", seeds=2)
    _, cycles = noise_by_vertex(batch, 3)
    assert batch.bundles(TASK) == 12
    np.testing.assert_array_equal(cycles[:, ::2], TASK.enumerate())
    with pytest.raises(ConfigError, match="all needs a task that can list its instances; give a number"):
        batch.bundles(RECALL)
