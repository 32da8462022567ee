"""The adapter against evosax driven by hand, and every offered algorithm on the sphere function."""

import dataclasses
import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from evosax import algorithms
from evosax.algorithms.base import EvolutionaryAlgorithm

from es_randomized import rng
from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.schedules import Schedule
from es_randomized.strategies.catalogue import EVOSAX, REFUSED, named, names
from es_randomized.strategies.evosax_adapter import EvosaxStrategy
from es_randomized.strategies.evosax_algorithm import configured
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.strategy import SearchSpace

ANTITHETIC = [kind for kind in names() if named(kind).antithetic]
SEED, MEMBERS, STD = 5, 12, 0.2
START = np.linspace(-1, 1.5, 5).astype(np.float32)


def quadratic(population):
    return ((np.asarray(population, np.float64) - 0.3) ** 2 @ np.arange(1.0, 6.0)).astype(np.float32)


def sphere(population):
    return (np.asarray(population, np.float64) ** 2).sum(axis=-1).astype(np.float32)


@functools.cache
def strategy(kind, std=STD):
    """Through the adapter, also algorithms that the package streams; made and compiled once for the tests of this file."""
    settings = named(kind).Settings(population=MEMBERS, std=std, optimizer=OPTIMIZERS.get(kind, ADAM))
    return EvosaxStrategy(settings, SearchSpace(shapes=((5,),), seed=SEED, generations=10))


def adapted(adapter, generations, loss):
    """Population and centre of every generation, through the adapter."""
    state, history = adapter.init(jax.random.key(1), jnp.asarray(START)), []
    for generation in range(generations):
        ask = adapter.ask(state, generation)
        population = np.asarray(ask.proposal[0])
        state = adapter.tell(ask, loss(population))
        history.append((population, np.asarray(adapter.centre(state))))
    np.testing.assert_array_equal(adapter.everyone(ask.proposal), population)
    return history


# Equality with evosax: an algorithm with a schedule and an optimizer, one that adapts its step size, one that keeps a population

ADAM = Optimizer(learning_rate=0.05)
OPTIMIZERS = {"SNES": Optimizer(kind="sgd", learning_rate=0.9, momentum=0.0)}
BY_HAND = {
    "Open_ES": {"optimizer": optax.adam(0.05), "std_schedule": optax.constant_schedule(STD)},
    "CMA_ES": {},
    "SimpleGA": {"std_schedule": optax.constant_schedule(STD)},
}


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
    ours = adapted(strategy(kind), 10, quadratic)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        theirs = by_hand(kind, 10, quadratic)
    within = 5e-5 if kind == "CMA_ES" else 1e-6  # eigenvectors of ten updated matrices amplify rounding
    for (population, centre), (their_population, their_centre) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(population, their_population, atol=within)
        np.testing.assert_allclose(centre, their_centre, atol=within)
    assert np.abs(ours[-1][1] - START).max() > 0.05


def test_the_step_size_schedule_does_not_lag():
    adapter = strategy("HillClimbing", std=Schedule(start=0.5, end=0.1, shape="linear"))
    state = adapter.init(jax.random.key(1), jnp.asarray(START))
    for generation in range(5):
        ask, centre = adapter.ask(state, generation), np.asarray(adapter.centre(state))
        noise = np.asarray(jax.random.normal(rng.address(SEED, rng.Purpose.NOISE, generation), (MEMBERS, len(START))))
        scale = (np.asarray(ask.proposal[0]) - centre) / noise
        now, shorter_run = (0.5 - 0.4 * generation / steps for steps in (10, 9))  # either reading of "the end"
        assert np.median(scale) == pytest.approx(now, abs=1e-4) or np.median(scale) == pytest.approx(shorter_run, 1e-4)
        state = adapter.tell(ask, quadratic(ask.proposal[0]))


@pytest.mark.parametrize("kind", ["Open_ES", "SNES", "Sep_CMA_ES", "CMA_ES"])
def test_tied_losses_hardly_move_the_centre(kind):
    """By no more than the mean of the members lies from it; evosax's own rank weights move it by a member's distance."""
    population, centre = adapted(strategy(kind), 1, lambda x: np.full(MEMBERS, 2, np.float32))[0]
    drift = np.abs(population.mean(axis=0) - START).max() if "CMA" in kind else 0
    assert np.abs(centre - START).max() <= drift + 1e-6


# Every offered algorithm


@pytest.mark.parametrize("kind", EVOSAX)
def test_every_algorithm_with_a_matrix_improves_the_sphere_with_one_program(kind):
    adapter = named(kind)(named(kind).Settings(population=32, std=0.3), SearchSpace(((10,),), seed=0, generations=100))
    state = adapter.init(jax.random.key(1), jnp.ones(10))
    for generation in range(100):
        ask = adapter.ask(state, generation)
        state = adapter.tell(ask, sphere(ask.proposal[0]))
    assert sphere(adapter.centre(state)) <= 10 / 4
    assert (adapter._ask._cache_size(), adapter._tell._cache_size()) == (1, 1)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (adapter.proposal_shape(), ask.proposal))
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])


def test_the_catalogue_names_exactly_the_algorithms_of_evosax():
    exported = {
        name
        for name, value in vars(algorithms).items()
        if inspect.isclass(value) and issubclass(value, EvolutionaryAlgorithm)
    }
    assert exported == {*names(), *REFUSED} - {"Past_ES"}


@pytest.mark.parametrize("kind", [kind for kind in names() if kind != "Past_ES"])
def test_settings_have_the_numbers_of_evosax_with_its_defaults(kind):
    cls = getattr(algorithms, kind)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        params = [cls(population_size=16, solution=jnp.zeros(size)).default_params for size in (8, 50)]
    numbers = {
        field.name: [getattr(of_size, field.name) for of_size in params]
        for field in dataclasses.fields(params[0])
        if field.name != "std_init" and not hasattr(getattr(params[0], field.name), "keys")
    }
    numbers = {name: values for name, values in numbers.items() if np.ndim(values[0]) == 0}  # the others are tables
    settings = named(kind).Settings()
    common = {field.name for field in dataclasses.fields(named("Open_ES").Settings)}
    assert set(numbers) == {field.name for field in dataclasses.fields(settings)} - common
    for name, values in numbers.items():
        ours = getattr(settings, name)
        if ours is not None:
            assert [float(value) for value in values] == pytest.approx([float(ours)] * 2), name
    accepted = inspect.signature(cls.__init__).parameters
    assert named(kind).takes_optimizer == ("optimizer" in accepted)
    assert named(kind).scheduled == ("std_schedule" in accepted)


def test_numbers_reach_the_algorithm():
    space = SearchSpace(((5,),), seed=0, generations=10)
    settings = named("DifferentialEvolution").Settings(crossover_rate=0.25, elitism=False)
    params = configured("DifferentialEvolution", settings, space).params
    assert (float(params.crossover_rate), params.elitism, params.differential_weight) == (0.25, False, 0.8)
    settings = named("CMA_ES").Settings(std=0.3, c_1=0.125)
    params = configured("CMA_ES", settings, space).params
    assert (float(params.std_init), float(params.c_1)) == pytest.approx((0.3, 0.125))
    assert params.c_mu > 0


# What is refused


def driver(text):
    return parse(f"task: {{kind: cycle_colouring}}\ndriver: {{{text}}}").driver


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_algorithms_say_why(kind):
    with pytest.raises(ConfigError, match=rf"driver\.kind: {kind} is not offered: "):
        driver(f"kind: {kind}")


def test_unknown_algorithms_and_options_suggest_the_nearest_name():
    with pytest.raises(ConfigError, match=r"called 'OpenES'.*; did you mean Open_ES\?"):
        driver("kind: OpenES")
    with pytest.raises(ConfigError, match=r"driver.std_lrr: unknown key; did you mean std_lr\?"):
        driver("kind: PGPE, std_lrr: 0.1")


@pytest.mark.parametrize("kind", ANTITHETIC)
def test_odd_populations_of_antithetic_pairs_are_refused(kind):
    with pytest.raises(ConfigError, match=f"{kind} has antithetic pairs, so it must be even, but it is 31; use 32"):
        driver(f"kind: {kind}, population: 31")


def test_a_schedule_is_refused_where_the_step_size_adapts_itself():
    with pytest.raises(ConfigError, match=r"driver\.std: PGPE adapts its step size itself; give one number, its start"):
        driver("kind: PGPE, std: {start: 0.1, end: 0.01}")


# What was called otherwise before


def test_options_of_before_are_read_with_a_note(caplog):
    said = driver("kind: PGPE, params: {std_lr: 0.01, std_init: 0.3}, noise: signs")
    assert (said.std_lr, said.std, said.noise) == (0.01, 0.3, "rademacher")
    assert len(caplog.messages) >= 2
    everything = "params: {}, noise: normal, rank: null, past: projection, shaping: default"
    for kind in ("CMA_ES", "Past_ES", "Open_ES"):
        assert driver(f"kind: {kind}, {everything}") == driver(f"kind: {kind}")
