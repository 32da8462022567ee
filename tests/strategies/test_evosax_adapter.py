"""The adapter against evosax driven by hand, and every offered algorithm on the sphere function."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from evosax import algorithms
from evosax.algorithms.base import EvolutionaryAlgorithm
from pydantic import ValidationError

from es_randomized import rng
from es_randomized.errors import ConfigError
from es_randomized.schedules import Schedule
from es_randomized.strategies.catalogue import CATALOGUE
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.evosax_adapter import EvosaxStrategy
from es_randomized.strategies.optimizers import Optimizer

MATRICES = [name for name, entry in CATALOGUE.items() if not entry.refused and not entry.streamed and not entry.own]
REFUSED = [name for name, entry in CATALOGUE.items() if entry.refused]
PAIRED = [name for name, entry in CATALOGUE.items() if entry.antithetic and not entry.own]
SEED, MEMBERS, STD = 5, 12, 0.2
START = np.linspace(-1, 1.5, 5).astype(np.float32)


def quadratic(population):
    return ((np.asarray(population, np.float64) - 0.3) ** 2 @ np.arange(1.0, 6.0)).astype(np.float32)


def sphere(population):
    return (np.asarray(population, np.float64) ** 2).sum(axis=-1).astype(np.float32)


def strategy(kind, **settings):
    settings = {"population": MEMBERS, "std": STD} | settings
    return EvosaxStrategy(EvolutionSettings(kind=kind, **settings), len(START), SEED, 10)


def adapted(made, generations, loss):
    """Population and centre of every generation, through the adapter."""
    state, history = made.init(jax.random.key(1), jnp.asarray(START)), []
    for generation in range(generations):
        ask = made.ask(state, generation)
        population = np.asarray(made.everyone(ask.proposal))
        state = made.tell(ask, loss(population))
        history.append((population, np.asarray(made.centre(state))))
    return history


# Equality with evosax

BY_HAND = {
    "Open_ES": {"optimizer": optax.adam(0.05), "std_schedule": optax.constant_schedule(STD)},
    "PGPE": {"optimizer": optax.adam(0.05)},
    "SNES": {"optimizer": optax.sgd(0.9)},
    "Sep_CMA_ES": {},
    "CMA_ES": {},
    "SimpleGA": {"std_schedule": optax.constant_schedule(STD)},
}
OPTIMIZERS = {"SNES": Optimizer(kind="sgd", learning_rate=0.9, momentum=0.0)}


def started(kind, algorithm, params):
    if kind != "SimpleGA":
        return algorithm.init(jax.random.key(1), START, params)
    first, then = jax.random.split(jax.random.key(1))
    population = START + STD * jax.random.normal(first, (MEMBERS, len(START)))
    return algorithm.init(then, population, jnp.full(MEMBERS, jnp.inf), params)


def by_hand(kind, generations, loss):
    """The same with evosax itself, its defaults and the keys of the addresses."""
    algorithm = getattr(algorithms, kind)(population_size=MEMBERS, solution=jnp.zeros(len(START)), **BY_HAND[kind])
    params = algorithm.default_params
    if hasattr(params, "std_init"):
        params = params.replace(std_init=jnp.asarray(STD))
    state, history = started(kind, algorithm, params), []
    for generation in range(generations):
        population, state = algorithm.ask(rng.address(SEED, rng.Purpose.NOISE, generation), state, params)
        key = rng.address(SEED, rng.Purpose.UPDATE, generation)
        state, _ = algorithm.tell(key, population, jnp.asarray(loss(population)), state, params)
        best = population[np.argmin(loss(population))]
        history.append((np.asarray(population), np.asarray(getattr(state, "mean", best))))
    return history


@pytest.mark.parametrize("kind", BY_HAND)
def test_the_adapter_equals_evosax_driven_by_hand(kind):
    optimizer = OPTIMIZERS.get(kind, Optimizer(learning_rate=0.05))
    found = adapted(strategy(kind, optimizer=optimizer), 10, quadratic)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        expected = by_hand(kind, 10, quadratic)
    within = 5e-5 if kind == "CMA_ES" else 1e-6  # eigenvectors of ten updated matrices amplify rounding
    for (population, centre), (their_population, their_centre) in zip(found, expected, strict=True):
        np.testing.assert_allclose(population, their_population, atol=within)
        np.testing.assert_allclose(centre, their_centre, atol=within)
    assert np.abs(found[-1][1] - START).max() > 0.05


@pytest.mark.parametrize("kind", ["Open_ES", "HillClimbing"])
def test_the_step_size_schedule_does_not_lag(kind):
    made = strategy(kind, std=Schedule(start=0.5, end=0.1, shape="linear"))
    state = made.init(jax.random.key(1), jnp.asarray(START))
    for generation in range(5):
        ask, centre = made.ask(state, generation), np.asarray(made.centre(state))
        key = rng.address(SEED, rng.Purpose.NOISE, generation)
        half = MEMBERS // 2 if kind == "Open_ES" else MEMBERS
        noise = np.asarray(jax.random.normal(key, (half, len(START))))
        scale = (np.asarray(ask.proposal[0][:half]) - centre) / noise
        now, shorter_run = (0.5 - 0.4 * generation / steps for steps in (10, 9))  # either reading of "the end"
        assert np.median(scale) == pytest.approx(now, abs=1e-4) or np.median(scale) == pytest.approx(shorter_run, 1e-4)
        state = made.tell(ask, quadratic(ask.proposal[0]))


# Every offered algorithm


@pytest.mark.parametrize("kind", MATRICES)
def test_every_algorithm_with_a_matrix_improves_the_sphere_with_one_program(kind):
    made = EvosaxStrategy(EvolutionSettings(kind=kind, population=32, std=0.3), 10, 0, 100)
    state = made.init(jax.random.key(1), jnp.ones(10))
    for generation in range(100):
        ask = made.ask(state, generation)
        state = made.tell(ask, sphere(ask.proposal[0]))
    assert sphere(made.centre(state)) <= 10 / 4
    assert (made._ask._cache_size(), made._tell._cache_size()) == (1, 1)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (made.proposal_shape(), ask.proposal))
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])


@pytest.mark.parametrize("kind", ["Open_ES", "SNES", "Sep_CMA_ES", "CMA_ES"])
def test_tied_losses_hardly_move_the_centre(kind):
    """By no more than the mean of the members lies from it; evosax's own rank weights move it by a member's distance."""
    optimizer = Optimizer(kind="sgd", learning_rate=1.0, momentum=0.0)
    population, centre = adapted(strategy(kind, optimizer=optimizer), 1, lambda x: np.full(MEMBERS, 2, np.float32))[0]
    drift = np.abs(population.mean(axis=0) - START).max() if "CMA" in kind else 0
    assert np.abs(centre - START).max() <= drift + 1e-6


# What is refused


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_algorithms_say_why(kind):
    with pytest.raises(ValidationError) as caught:
        EvolutionSettings(kind=kind)
    assert f"{kind} is not offered: {CATALOGUE[kind].refused}" in str(caught.value)


def test_unknown_algorithms_suggest_the_nearest_name():
    with pytest.raises(ValidationError, match=r"no strategy is called 'OpenES'; did you mean Open_ES\?"):
        EvolutionSettings(kind="OpenES")


def test_unknown_params_suggest_the_nearest_name():
    with pytest.raises(ConfigError, match=r"driver.params.std_lrr: PGPE has no such parameter; did you mean std_lr\?"):
        strategy("PGPE", params={"std_lrr": 0.1})
    with pytest.raises(ConfigError, match=r"PGPE has no such parameter; it has std_init, std_lr, std_max_change"):
        strategy("PGPE", params={"qqq": 0.1})


def test_params_reach_the_algorithm():
    still, moving = (strategy("PGPE", params={"std_lr": value}) for value in (0.0, 0.5))
    spreads = [[population.std() for population, _ in adapted(made, 6, quadratic)] for made in (still, moving)]
    assert spreads[0][0] == spreads[1][0]
    assert spreads[0][5] != spreads[1][5]


@pytest.mark.parametrize("kind", PAIRED)
def test_odd_populations_of_paired_algorithms_are_refused(kind):
    message = f"{kind} draws antithetic pairs, so population must be even, but it is 31; use 32"
    with pytest.raises(ValidationError, match=message):
        EvolutionSettings(kind=kind, population=31)


def test_paired_algorithms_draw_opposite_members():
    for kind in PAIRED:
        made = strategy(kind)
        ask = made.ask(made.init(jax.random.key(1), jnp.asarray(START)), 0)
        offsets = np.asarray(ask.proposal[0]) - START
        np.testing.assert_allclose(offsets[: MEMBERS // 2], -offsets[MEMBERS // 2 :], atol=1e-6)


def test_the_catalogue_names_exactly_the_algorithms_of_evosax():
    exported = {
        name
        for name, value in vars(algorithms).items()
        if inspect.isclass(value) and issubclass(value, EvolutionaryAlgorithm)
    }
    assert exported == {name for name, entry in CATALOGUE.items() if not entry.own}
