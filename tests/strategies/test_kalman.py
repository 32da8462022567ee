"""Noise-aware past directions: against a slow twin, and what they are worth on a linear loss with noise of known size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.errors import ConfigError
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.algorithms.past_es import Past_ES
from es_randomized.strategies.kalman import HORIZON, kalman_estimate, no_moments
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.options import current
from es_randomized.strategies.strategy import SearchSpace

SIZE, PAIRS = 300, 16

compiled = jax.jit(kalman_estimate)


def strategy(past, size=SIZE, pairs=PAIRS, rate=1e-6):
    optimizer = Optimizer(kind="sgd", learning_rate=rate, momentum=0.0)
    settings = Past_ES.Settings(population=2 * pairs, std=0.01, optimizer=optimizer, past=past)
    return Past_ES(settings, SearchSpace(shapes=((size,),), seed=3, generations=10))


def twin(slopes, expected, history, generation):
    """The same in float64, one direction after the other; `history` has the squares of every generation."""
    rows = len(slopes[0])
    surprise = [slopes[0][row] - (expected if row == 0 else 0.0) for row in range(rows)]
    noise = [((slopes[1][row] - slopes[2][row]) / 2) ** 2 for row in range(rows)]
    history.append([[squares[0], np.mean(squares[1:])] for squares in (noise, np.square(surprise))])
    means = np.array(history[0])
    for seen, squares in enumerate(history[1:], 2):
        weight = np.array([1 / min(seen - 1, HORIZON), 1 / min(seen, HORIZON)])  # the first generation had no past
        means = (1 - weight) * means + weight * np.array(squares)
    floor = 2 / np.sqrt((rows - 1) * min(generation + 1, 2 * HORIZON))
    new = min(1.0, max(1 - means[0, 1] / means[1, 1], floor))
    past = min(1.0, max(1 - means[0, 0] / means[1, 0], 0.0)) if expected else new
    return [(expected if row == 0 else 0.0) + (past if row == 0 else new) * surprise[row] for row in range(rows)], means


def test_estimates_are_those_of_a_slow_twin():
    draws = np.random.default_rng(0)
    moments, history = no_moments(), []
    for generation in range(HORIZON + 5):
        slopes = draws.normal(size=(3, 6)) * [[1.0], [1.5], [1.5]] + draws.normal(size=6)
        expected = float(draws.normal()) if generation else 0.0
        estimates, moments = compiled(
            jnp.asarray(slopes, jnp.float32), jnp.float32(expected), moments, jnp.uint32(generation)
        )
        coefficients, means = twin(slopes, expected, history, generation)
        np.testing.assert_allclose(estimates, coefficients, rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose([moments["noise"], moments["surprise"]], means, rtol=1e-4)


def test_slopes_that_are_all_zero_are_estimated_as_zero():
    estimates, moments = compiled(jnp.zeros((3, 6)), jnp.float32(0), no_moments(), jnp.uint32(0))
    assert not np.asarray(estimates).any()
    assert not np.asarray(moments["surprise"]).any()


def losses_of(proposal, slope, deviation, draws):
    """Losses of all members on the whole batch and on both halves, whose slopes err by sqrt(2) times `deviation`."""
    q, reach = np.asarray(proposal["directions"], np.float64), float(proposal["reach"])
    halves = q @ slope + 2**0.5 * deviation * draws.normal(size=(2, len(q)))
    views = np.stack([halves.mean(axis=0), *halves]) * reach
    return np.concatenate([views, -views], axis=1).astype(np.float32)


def cos2_along_a_linear_loss(past, ratio, generations):
    """cos² of estimate and gradient after every generation; `ratio` = ‖∇f‖² / (d v), v the variance of a slope's noise."""
    past_es, draws = strategy(past), np.random.default_rng(5)
    slope = draws.normal(size=SIZE)
    slope /= np.linalg.norm(slope)
    state, cosines = past_es.init(jax.random.key(0), jnp.zeros(SIZE)), []
    for generation in range(generations):
        ask = past_es.ask(state, generation)
        losses = losses_of(ask.proposal, slope, (1 / (SIZE * ratio)) ** 0.5, draws)
        state = past_es.tell(ask, losses if past_es.split_batch else losses[0])
        past_one = np.asarray(state["past"], np.float64)
        cosines.append((past_one @ slope) ** 2 / (past_one @ past_one))
    return np.array(cosines)


@pytest.mark.parametrize(("ratio", "factor"), [(0.8, 5), (0.2, 10)])
def test_at_moderate_noise_the_estimate_is_several_times_better_and_as_good_as_the_closed_form_says(ratio, factor):
    """D' = D + (1 − D) κ k with k = ratio (1 − D) / (1 + ratio (1 − D)), the limit of gains that are known."""
    steps, kappa = 120, (PAIRS - 1) / (SIZE - 1)
    aware = cos2_along_a_linear_loss("noise_aware", ratio, steps)
    plain = cos2_along_a_linear_loss("projection", ratio, steps)
    assert aware[-40:].mean() > factor * plain[-40:].mean()
    expected = [PAIRS / SIZE * ratio / (1 + ratio)]
    for _ in range(steps - 1):
        left = 1 - expected[-1]
        expected.append(expected[-1] + left * kappa * ratio * left / (1 + ratio * left))
    assert abs(aware[-40:].mean() - np.mean(expected[-40:])) < 0.2 * np.mean(expected[-40:])


def test_without_noise_it_is_the_projection():
    aware, plain = strategy("noise_aware", 24, 3, rate=0.1), strategy("projection", 24, 3, rate=0.1)
    slope, draws = np.linspace(-1, 2, 24), np.random.default_rng(0)
    states = [past_es.init(jax.random.key(0), jnp.zeros(24)) for past_es in (aware, plain)]
    for generation in range(6):
        asks = [past_es.ask(state, generation) for past_es, state in zip((aware, plain), states, strict=True)]
        losses = losses_of(asks[0].proposal, slope, 0.0, draws)
        states[0] = aware.tell(asks[0], losses)
        states[1] = plain.tell(asks[1], losses_of(asks[1].proposal, slope, 0.0, draws)[0])
    np.testing.assert_allclose(states[0]["mean"], states[1]["mean"], rtol=1e-3, atol=1e-4)
    past = np.asarray(states[0]["past"])
    np.testing.assert_allclose(past / np.linalg.norm(past), states[1]["past"], atol=1e-4)


def test_a_weight_for_a_past_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"driver.past: Open_ES has no such option; .* that has it: Past_ES$"):
        current(Open_ES, {"kind": "Open_ES", "past": "noise_aware"})
    with pytest.raises(ValueError, match=r"noise_aware needs new directions beside the past one; set population: 4"):
        strategy("noise_aware", pairs=1)
