"""Outcomes against single cases, and windows against outcomes, on random weights."""

import jax
import numpy as np
import pytest

from es_randomized.evaluation.outcomes import Outcomes, bind
from es_randomized.evaluation.windows import WindowOutcomes, distinct_windows
from es_randomized.fitness import parameters
from es_randomized.models.transformer import Transformer
from es_randomized.tasks.cycle_colouring import CycleColouring

SEEDS = 5


def model_with(blocks):
    return Transformer(width=8, blocks=blocks, hidden=8)


def setting(n, blocks, instances, **task_settings):
    """Task, model, random weights that differ between cases, instances and seeds."""
    task, model = CycleColouring(n=n, **task_settings), model_with(blocks)
    generator = np.random.default_rng(n + blocks)
    size = parameters(model, task)
    weights = jax.numpy.asarray(generator.normal(scale=0.6, size=size).astype(np.float32))
    cycles = np.stack([generator.permutation(n) for _ in range(instances)], axis=1).astype(np.int32)
    seeds = jax.numpy.asarray(generator.uniform(size=(task.noise_width, n, SEEDS)).astype(np.float32))
    return task, model, weights, cycles, seeds


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def hundred_and_fifty():
    task, model, weights, cycles, seeds = setting(10, 2, 150)
    return task, model, weights, cycles, seeds, Outcomes(task, model)(weights, cycles, seeds)


def test_outcomes_equal_single_cases(hundred_and_fifty):
    task, model, weights, cycles, seeds, (success, answer) = hundred_and_fifty
    assert success.shape == answer.shape == (150, SEEDS)
    assert success.dtype == bool
    single = jax.jit(lambda cycle, seed: task.rollout(bind(task, model, weights), task.observe(cycle, seed)))
    for instance in (0, 127, 128, 149):
        for seed in range(SEEDS):
            outcome = single(cycles[:, instance : instance + 1], seeds[..., seed : seed + 1])
            assert bool(outcome.success[0]) == success[instance, seed]
            assert int(outcome.answer[0]) == answer[instance, seed]


def test_success_is_a_proper_colouring_of_the_answer(hundred_and_fifty):
    *_, cycles, _, (success, answer) = hundred_and_fifty
    colours = answer[None] // 3 ** np.arange(10)[:, None, None] % 3  # [vertex, instance, seed]
    around = np.take_along_axis(colours, cycles[:, :, None], axis=0)
    np.testing.assert_array_equal(success, (around != np.roll(around, 1, axis=0)).all(axis=0))
    assert len(np.unique(answer)) > 50


def test_windows_equal_outcomes_on_random_cycles_of_ten(hundred_and_fifty):
    task, model, weights, cycles, seeds, expected = hundred_and_fifty
    assert WindowOutcomes.applies(task, model)
    assert_same(WindowOutcomes(task, model)(weights, cycles, seeds), expected)


@pytest.mark.parametrize("blocks", [1, 2])
def test_windows_equal_outcomes_on_all_cycles_of_seven(blocks):
    task, model, weights, _, seeds = setting(7, blocks, 1)
    cycles = task.enumerate()
    expected = Outcomes(task, model)(weights, cycles, seeds)
    assert expected[0].shape == (360, SEEDS)
    assert_same(WindowOutcomes(task, model)(weights, cycles, seeds), expected)


def test_windows_equal_outcomes_of_anonymous_nodes():
    task, model, weights, cycles, seeds = setting(7, 1, 30, identifiers=False, noise_width=2)
    assert_same(WindowOutcomes(task, model)(weights, cycles, seeds), Outcomes(task, model)(weights, cycles, seeds))


def test_windows_apply_where_they_are_smaller_than_the_cycle():
    applies = {
        (n, blocks): WindowOutcomes.applies(CycleColouring(n=n), model_with(blocks))
        for n in (5, 6)
        for blocks in (1, 2)
    }
    assert applies == {(5, 1): True, (5, 2): False, (6, 1): True, (6, 2): True}


@pytest.mark.parametrize(("n", "radius", "count"), [(7, 1, 105), (7, 2, 1260), (6, 2, 360)])
def test_distinct_windows_are_all_paths_up_to_reversal(n, radius, count):
    cycles = CycleColouring(n=n).enumerate()
    windows, index = distinct_windows(cycles, radius, n)
    assert windows.shape == (2 * radius + 1, count)
    assert len({min(w, w[::-1]) for w in map(tuple, windows.T.tolist())}) == count
    for node in range(n):
        around = np.stack([cycles[(node + step) % n] for step in range(-radius, radius + 1)])
        found = windows[:, index[node]]
        assert ((found == around).all(axis=0) | (found[::-1] == around).all(axis=0)).all()
