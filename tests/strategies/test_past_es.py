"""Past descent directions against the closed forms of a linear loss, where cos² of estimate and gradient is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.errors import ConfigError
from es_randomized.strategies.algorithms.past_es import Past_ES
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.options import current
from es_randomized.strategies.strategy import SearchSpace

SIZE, PAIRS = 24, 3
KAPPA = (PAIRS - 1) / (SIZE - 1)


def strategy(size=SIZE, pairs=PAIRS, rate=0.1, **more):
    optimizer = Optimizer(kind="sgd", learning_rate=rate, momentum=0.0)
    settings = Past_ES.Settings(population=2 * pairs, std=0.01, optimizer=optimizer, **more)
    return Past_ES(settings, SearchSpace(shapes=((size,),), seed=0, generations=10))


def told(past_es, state, generation, loss):
    ask = past_es.ask(state, generation)
    return past_es.tell(ask, loss(np.asarray(everyone(past_es, ask.proposal), np.float64)).astype(np.float32))


@functools.partial(jax.jit, static_argnums=0)
def everyone(past_es, proposal):
    return past_es.everyone(proposal)


def cos2(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float((a @ b) ** 2 / ((a @ a) * (b @ b)))


def test_directions_are_orthonormal_and_the_first_is_the_past():
    past_es = strategy()
    past = jnp.asarray(np.eye(SIZE)[4], jnp.float32)
    state = past_es.init(jax.random.key(0), jnp.ones(SIZE)) | {"past": past}
    q = np.asarray(past_es.ask(state, 1).proposal["directions"])
    np.testing.assert_allclose(q @ q.T, np.eye(PAIRS), atol=1e-5)
    np.testing.assert_allclose(np.abs(q[0]), past, atol=1e-5)


def test_the_estimate_is_the_projection_of_the_gradient():
    past_es, slope = strategy(), np.linspace(-1, 2, SIZE)
    state = past_es.init(jax.random.key(0), jnp.zeros(SIZE))
    q = np.asarray(past_es.ask(state, 0).proposal["directions"], np.float64)
    after = told(past_es, state, 0, lambda members: members @ slope)
    projection = slope @ q.T @ q
    np.testing.assert_allclose(after["past"], projection / np.linalg.norm(projection), atol=1e-4)
    np.testing.assert_allclose(after["mean"], -0.1 * projection, atol=1e-4)


def test_cos2_grows_along_a_linear_loss_as_the_closed_form_says():
    """E cos²_t = 1 − (1 − P/d)(1 − κ)^(t−1), over 150 independent runs."""
    past_es, slope, steps, runs = strategy(rate=1e-6), np.linspace(-1, 2, SIZE), 5, 150
    cosines = np.zeros((runs, steps))
    for run in range(runs):
        state = past_es.init(jax.random.key(0), jnp.zeros(SIZE))
        for t in range(steps):
            state = told(past_es, state, run * steps + t, lambda members: members @ slope)  # its own noise
            cosines[run, t] = cos2(state["past"], slope)
    expected = 1 - (1 - PAIRS / SIZE) * (1 - KAPPA) ** np.arange(steps)
    error = cosines.std(axis=0, ddof=1) / runs**0.5
    assert (np.abs(cosines.mean(axis=0) - expected) < 4 * error).all()
    assert expected[-1] > 2 * expected[0]


def test_sixty_generations_come_nearer_to_the_minimum_of_a_quadratic_than_without_the_past():
    curvature, start = np.linspace(1, 3, 60), np.ones(60, np.float32)

    def distance(forget):
        past_es = strategy(60, 4, rate=0.15)
        state = past_es.init(jax.random.key(0), jnp.asarray(start))
        for generation in range(60):
            state = told(past_es, state, generation, lambda members: 0.5 * members**2 @ curvature)
            if forget:
                state = state | {"past": jnp.zeros(60)}
        assert past_es._propose._cache_size() == past_es._project._cache_size() == 1  # one program for all generations
        return float(np.linalg.norm(state["mean"]))

    assert distance(forget=False) < 0.7 * distance(forget=True)


def test_what_would_bend_the_projection_is_refused():
    with pytest.raises(
        ConfigError, match=r"driver.shaping: Past_ES has no such option; .* that has it: ARS, Open_ES, PGPE"
    ):
        current(Past_ES, {"kind": "Past_ES", "shaping": "centred_rank"})
    with pytest.raises(ConfigError, match="at most one pair per parameter: 4 members, not 6"):
        strategy(size=2)
