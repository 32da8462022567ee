"""Fitness shaping against NumPy and plain Python, ties and broken losses above all."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_randomized.compilation import jit
from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Plan
from es_randomized.config.yaml import load
from es_randomized.drivers.evolution import Evolution
from es_randomized.errors import ConfigError, NonFiniteLossError
from es_randomized.models.transformer import Transformer
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.shaping import SHAPINGS, by_name, centred, rank_worst, ranks, tied_weights
from es_randomized.tasks.cycle_colouring import CycleColouring
from tests.tools.command import TINY

WEIGHTS = np.array([0.5, 0.3, 0.2, 0.0, -0.1, -0.4], np.float32)
TIED = np.array([3.0, 1.0, 3.0, 0.0, 3.0, 1.0], np.float32)


@pytest.fixture
def relaxed():
    """evosax's own shapings fail under strict promotion, which the adapter relaxes around its calls."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def array(values):
    return jnp.asarray(np.asarray(values, np.float32))


def shaped(name, losses):
    return np.asarray(by_name(name)(array(losses), array(WEIGHTS)))


def mean_weight_of_the_ranks(losses):
    """Every member's weight: the mean of the weights of the ranks its loss takes up."""
    order = sorted(losses)
    ranks = {loss: [rank for rank, other in enumerate(order) if other == loss] for loss in losses}
    return [float(np.mean(WEIGHTS[ranks[loss]])) for loss in losses]


def test_tied_members_share_the_mean_weight_of_their_ranks():
    expected = [-1 / 6, 0.25, -1 / 6, 0.5, -1 / 6, 0.25]
    assert shaped("weights", TIED).tolist() == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_rank_weights_equal_the_plain_rule(losses):
    weights = tied_weights(array(losses), array(WEIGHTS))
    assert np.asarray(weights).tolist() == pytest.approx(mean_weight_of_the_ranks(losses), abs=1e-6)


def test_rank_weights_without_ties_are_those_of_evosax():
    from evosax.core.fitness_shaping import weights_fitness_shaping_fn

    losses = np.array([0.3, -2.0, 7.0, 0.1, 5.0, 4.0], np.float32)
    expected = weights_fitness_shaping_fn(None, array(losses), None, SimpleNamespace(weights=array(WEIGHTS)))
    np.testing.assert_allclose(shaped("weights", losses), expected, atol=1e-6)


@pytest.mark.usefixtures("relaxed")
@pytest.mark.parametrize("members", [2, 3, 10, 256, 1_000, 4_097])
@pytest.mark.parametrize("values", [3, 10**9])
def test_centred_ranks_have_the_bits_of_evosax(members, values):
    losses = np.random.default_rng(members).integers(0, values, members).astype(np.float32)
    expected = jit(lambda raw: by_name("centred_rank")(raw, None))(losses)
    ours = jit(centred)(ranks(losses))
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.usefixtures("relaxed")
def test_the_other_shapings_are_what_their_names_say():
    assert shaped("identity", TIED).tolist() == TIED.tolist()
    ranks = np.array([4, 1.5, 4, 0, 4, 1.5])
    np.testing.assert_allclose(shaped("centred_rank", TIED), ranks / 5 - 0.5, atol=1e-6)
    np.testing.assert_allclose(shaped("standardise", TIED), (TIED - TIED.mean()) / TIED.std(), atol=1e-5)
    np.testing.assert_allclose(shaped("normalise", TIED), 2 * TIED / 3 - 1, atol=1e-6)


@pytest.mark.usefixtures("relaxed")
@pytest.mark.parametrize("name", [name for name in SHAPINGS if name != "default"])
def test_equal_losses_are_shaped_alike(name):
    values = shaped(name, [1, 5, 1, 5, 5, 1])
    assert np.ptp(values[[0, 2, 5]]) == 0
    assert np.ptp(values[[1, 3, 4]]) == 0


@pytest.mark.parametrize("finite", [[1.0, -3.0, 2.0], [5.0], [0.0, 0.0], [1e30, 1.0], [-7.0, -7.0]])
def test_broken_losses_become_worse_than_all_finite_ones(finite):
    losses = np.array([np.nan, *finite, np.inf, -np.inf], np.float32)
    ranked = rank_worst(losses)
    assert np.isfinite(ranked).all()
    assert ranked.dtype == np.float32
    np.testing.assert_array_equal(ranked[1:-2], losses[1:-2])
    assert (ranked[[0, -2, -1]] > max(finite)).all()


def test_finite_losses_stay_as_they_are_and_hopeless_ones_are_refused():
    np.testing.assert_array_equal(rank_worst(TIED), TIED)
    with pytest.raises(ValueError, match="no loss is finite"):
        rank_worst(np.array([np.nan, np.inf], np.float32))


def evolution(**strategy):
    experiment = Experiment(
        task=CycleColouring(n=3),
        model=Transformer(width=2, blocks=1, hidden=2),
        driver=Open_ES.Settings(population=6, **strategy),
        plan=Plan(chunk=6),
    )
    return Evolution.of(experiment)


def test_a_broken_member_counts_as_the_worst_or_stops_the_run():
    lenient, strict = evolution(), evolution(non_finite="stop")
    state = lenient.strategy.init(jax.random.key(0), array(np.zeros(lenient.strategy.parameters)))
    ask = lenient.strategy.ask(state, 4)
    losses = np.array([1.0, np.nan, 3.0, 2.0, 0.5, 1.5], np.float32)
    as_worst = np.where(np.isnan(losses), np.float32(1e6), losses)
    centre, expected = (lenient.strategy.centre(lenient.tell(ask, x)) for x in (losses, as_worst))
    np.testing.assert_array_equal(centre, expected)
    with pytest.raises(NonFiniteLossError, match=r"1 of 6 losses of generation 4 are not finite \(first: member 1"):
        strict.tell(ask, losses)
    with pytest.raises(NonFiniteLossError, match="6 of 6 losses"):
        lenient.tell(ask, np.full(6, np.nan, np.float32))


HUGE = np.array([3e38, -3.3e38, 1e38, 3.4e38, 0.0, -1e30], np.float32)


@pytest.mark.parametrize("name", ["standardise", "normalise"])
def test_losses_whose_sums_are_no_float32_numbers_are_shaped_like_smaller_ones(name, relaxed):
    np.testing.assert_allclose(shaped(name, HUGE), shaped(name, HUGE / np.float32(1e38)), rtol=1e-5, atol=1e-6)
    assert np.ptp(shaped(name, HUGE)) > 1


def test_what_is_not_finite_stays_a_number_beside_the_largest():
    filled = rank_worst(np.array([np.nan, 3.4e38, -3.4e38, np.inf], np.float32))
    assert np.isfinite(filled).all()
    assert filled[0] == filled[3] >= filled[1]


def test_losses_too_large_to_add_up_are_refused():
    driver = Evolution.of(load(TINY, {"driver.shaping": "identity"}))
    losses = np.linspace(2e38, 3e38, driver.losses_per_generation, dtype=np.float32)
    ask = driver.strategy.ask(driver.init(), 0)
    with pytest.raises(NonFiniteLossError, match=r"reach 3.0e\+38, more than float32 numbers can add up"):
        driver.tell(ask, losses)


@pytest.mark.parametrize("kind", ["LearnedES", "SimpleGA", "PSO", "Open_ES"])
def test_weights_of_a_strategy_without_are_refused(kind):
    changes = {"driver": {"kind": kind, "population": 12, "std": 0.1, "shaping": "weights"}}
    with pytest.raises(ConfigError, match=f"{kind} has no weights by rank; use default or centred_rank"):
        Evolution.of(load(TINY, changes))
