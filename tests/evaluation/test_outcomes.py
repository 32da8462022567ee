"""Outcomes against single cases, and windows against outcomes, on random weights."""

from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import runner_of
from es_randomized.evaluation.outcomes import Outcomes, bind
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.evaluation.windows import WINDOWS_PER_STEP, WindowOutcomes, distinct_windows
from es_randomized.fitness import parameters
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.references.colouring import one_shot
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from tests.tools.function_policy import FunctionPolicy

SEEDS = 5


def model_with(blocks):
    return Transformer(width=8, blocks=blocks, hidden=8)


def setting(n, blocks, instances, **task_settings):
    """Task, model, runs with random weights whose outcomes differ, and cycles."""
    task, model = CycleColouring(n=n, **task_settings), model_with(blocks)
    generator = np.random.default_rng(n + blocks)
    size = parameters(model, task)
    weights = jax.numpy.asarray(generator.normal(scale=0.6, size=(1, size)).astype(np.float32))
    cycles = np.stack([generator.permutation(n) for _ in range(instances)], axis=1).astype(np.int32)
    seeds = jax.numpy.asarray(generator.uniform(size=(task.noise_width, n, SEEDS)).astype(np.float32))
    return task, model, RepeatedRuns(seeds, weights, None), cycles


@dataclass(frozen=True)
class Looped(Model):
    """Every block of a transformer is applied twice; `claimed` is what it says of how far its nodes see."""

    inner: Transformer
    claimed: int | None

    def init(self, key, interface):
        return self.inner.init(key, interface)

    def policy(self, weights, interface):
        looped = replace(self.inner, blocks=2 * self.inner.blocks)
        policy = looped.policy(weights | {"blocks": weights["blocks"] * 2}, interface)

        def function(tokens):
            assert tokens.shape[:2] == (interface.features, interface.nodes)
            return policy(tokens)

        return FunctionPolicy(function)

    def receptive_field(self, interface):
        return self.claimed


def assert_same(outcome, expected):
    """Success and answers agree; windows have no losses."""
    np.testing.assert_array_equal(outcome.success, expected.success)
    np.testing.assert_array_equal(outcome.answer, expected.answer)


@pytest.fixture(scope="module")
def hundred_and_fifty():
    task, model, runs, cycles = setting(10, 2, 150)
    return task, model, runs, cycles, Outcomes(task, model)(runs, cycles)


def test_outcomes_equal_single_cases(hundred_and_fifty):
    task, model, runs, cycles, outcome = hundred_and_fifty
    assert {part.shape for part in outcome} == {(150, SEEDS)}
    policy = bind(task, model, runs.weights[0])
    single = jax.jit(lambda cycle, seed: task.rollout(policy, task.observe(cycle, seed)))
    for instance in (0, 127, 128, 149):
        for seed in range(SEEDS):
            alone = single(cycles[:, instance : instance + 1], runs.seeds[..., seed : seed + 1])
            assert bool(alone.success[0, 0]) == outcome.success[instance, seed]
            assert int(alone.answer[0, 0]) == outcome.answer[instance, seed]
            assert float(alone.loss[0, 0]) == pytest.approx(outcome.loss[instance, seed], rel=1e-5)


def test_instances_of_a_bundle_stand_side_by_side_in_the_order_of_the_labels():
    task, model = AssociativeRecall(n=3, bits=2, noise_width=2), model_with(1)
    weights = jax.numpy.asarray(np.random.default_rng(0).normal(size=(1, parameters(model, task))).astype(np.float32))
    stores, seeds = task.sample(jax.random.key(1), 40), task.seeds(jax.random.key(2), SEEDS)
    outcome = Outcomes(task, model)(RepeatedRuns(seeds, weights, None), stores)
    labels = task.labels(np.asarray(stores))
    assert outcome.success.shape == (120, SEEDS)
    assert 0 < outcome.success.mean() < 1
    np.testing.assert_array_equal(outcome.success, outcome.answer == labels["value"][:, None])
    alone = jax.jit(lambda store, seed: task.rollout(bind(task, model, weights[0]), task.observe(store, seed)))
    for bundle, seed in ((0, 0), (17, 3), (39, 4)):
        losses = np.asarray(alone(stores[:, bundle : bundle + 1], seeds[:, seed : seed + 1]).loss)[:, 0]
        np.testing.assert_allclose(outcome.loss[3 * bundle : 3 * bundle + 3, seed], losses, rtol=1e-5)
        assert labels["query"][3 * bundle : 3 * bundle + 3].tolist() == [0, 1, 2]


def test_success_is_a_proper_colouring_of_the_answer(hundred_and_fifty):
    *_, cycles, (_, success, answer) = hundred_and_fifty
    colours = answer[None] // 3 ** np.arange(10)[:, None, None] % 3  # [vertex, instance, seed]
    around = np.take_along_axis(colours, cycles[:, :, None], axis=0)
    np.testing.assert_array_equal(success, (around != np.roll(around, 1, axis=0)).all(axis=0))
    assert len(np.unique(answer)) > 50


def test_windows_equal_outcomes_on_random_cycles_of_ten(hundred_and_fifty):
    task, model, runs, cycles, expected = hundred_and_fifty
    assert WindowOutcomes.applies(task, model)
    assert_same(WindowOutcomes(task, model)(runs, cycles), expected)


@pytest.mark.parametrize("blocks", [1, 2])
def test_windows_equal_outcomes_on_all_cycles_of_seven(blocks):
    task, model, runs, _ = setting(7, blocks, 1)
    cycles = task.enumerate()
    expected = Outcomes(task, model)(runs, cycles)
    assert expected.success.shape == (360, SEEDS)
    assert_same(WindowOutcomes(task, model)(runs, cycles), expected)


def test_windows_equal_outcomes_of_anonymous_nodes():
    task, model, runs, cycles = setting(7, 1, 30, identifiers=False, noise_width=2)
    assert_same(WindowOutcomes(task, model)(runs, cycles), Outcomes(task, model)(runs, cycles))


def test_windows_equal_outcomes_of_several_weights_with_one_seed():
    task, model, runs, cycles = setting(7, 1, 30)
    members = jax.numpy.concatenate([runs.weights, -runs.weights, runs.weights[:, ::-1]])
    ensemble = RepeatedRuns(runs.seeds[..., :1], members, None)
    expected = Outcomes(task, model)(ensemble, cycles)
    assert expected.success.shape == (30, 3)
    assert_same(WindowOutcomes(task, model)(ensemble, cycles), expected)


def test_nodes_of_a_cycle_are_sampled_independently():
    """Also those whose windows stand at the same place of two blocks."""
    task, model, count = CycleColouring(n=7, colours=10), model_with(2), 60
    cycles = task.enumerate()
    _, index = distinct_windows(cycles, 2, 7)
    assert ((index - np.roll(index, 1, axis=0)) % WINDOWS_PER_STEP == 0).any()
    blind = jax.numpy.zeros((1, parameters(model, task)))
    runs = RepeatedRuns(task.seeds(jax.random.key(0), 1), blind, jax.random.split(jax.random.key(1), count))
    rates = WindowOutcomes(task, model)(runs, cycles).success.mean(axis=1)
    exact = one_shot(7, 10)
    assert np.abs(rates - exact).max() < 5 * np.sqrt(exact * (1 - exact) / count)


def test_windows_apply_where_they_are_smaller_than_the_cycle():
    applies = {
        (n, blocks): WindowOutcomes.applies(CycleColouring(n=n), model_with(blocks))
        for n in (5, 6)
        for blocks in (1, 2)
    }
    assert applies == {(5, 1): True, (5, 2): False, (6, 1): True, (6, 2): True}


def test_a_model_is_scored_through_windows_as_far_as_it_says_its_nodes_see():
    task, transformer, runs, cycles = setting(7, 1, 30)
    right, wide, silent, wrong = (Looped(transformer, claimed) for claimed in (2, 3, None, 1))
    used = [runner_of(Experiment(task=task, model=model)) for model in (right, wide, silent)]
    assert used == [WindowOutcomes, Outcomes, Outcomes]
    expected = Outcomes(task, silent)(runs, cycles)
    assert_same(WindowOutcomes(task, right)(runs, cycles), expected)
    assert (WindowOutcomes(task, wrong)(runs, cycles).answer != expected.answer).any()


@pytest.mark.parametrize(("n", "radius", "count"), [(7, 1, 105), (7, 2, 1260), (6, 2, 360)])
def test_distinct_windows_are_all_paths_up_to_reversal(n, radius, count):
    cycles = CycleColouring(n=n).enumerate()
    windows, index = distinct_windows(cycles, radius, n)
    assert windows.shape == (2 * radius + 1, count)
    assert len({min(w, w[::-1]) for w in map(tuple, windows.T.tolist())}) == count
    for node in range(n):
        around = np.stack([cycles[(node + step) % n] for step in range(-radius, radius + 1)])
        window = windows[:, index[node]]
        assert ((window == around).all(axis=0) | (window[::-1] == around).all(axis=0)).all()


def test_windows_that_do_not_fit_64_bits_as_one_number_are_told_apart():
    """13 of 36 vertices: 36^13 > 2^63."""
    n, radius = 36, 6
    cycles = np.random.default_rng(1).permuted(np.repeat(np.arange(n)[:, None], 20, axis=1), axis=0)
    cycles = np.concatenate([cycles, cycles[::-1, :5]], axis=1)  # the other way round they are the same windows
    windows, index = distinct_windows(cycles, radius, n)
    assert windows.shape == (2 * radius + 1, 20 * n)
    for node in range(n):
        around = np.stack([cycles[(node + step) % n] for step in range(-radius, radius + 1)])
        window = windows[:, index[node]]
        assert ((window == around).all(axis=0) | (window[::-1] == around).all(axis=0)).all()
