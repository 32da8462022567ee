"""The agreement of two halves of a population, against a slow twin and the closed form for linear losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.doctor.signal import Halves, agreement, cosine, expected_cosine
from es_randomized.strategies.catalogue import named
from es_randomized.strategies.strategy import SearchSpace

pytestmark = pytest.mark.long  # whole trainings, for a quarter of a minute and more


def strategy_of(kind, population=16, shapes=((5, 4), (7,)), **options):
    cls = named(kind)
    settings = cls.read_settings({"kind": kind, "population": population, "std": 0.1, **options})
    return cls(settings, SearchSpace(shapes, 3, 10))


def asked(strategy, generation=0):
    centre = jnp.linspace(-1, 1, strategy.parameters, dtype=jnp.float32)
    state = strategy.init(jax.random.key(0), centre)
    return state, strategy.ask(state, generation).proposal


def slow_cosine(members, centre, losses, rows):
    """Member by member, in float64."""
    ranks = np.array([(np.sum(losses < x) + np.sum(losses <= x) - 1) / 2 for x in losses])
    updates = []
    for half in range(2):
        ids = [i for i in range(len(losses)) if (i % rows) % 2 == half]
        mean = np.mean([ranks[i] for i in ids])
        updates.append(sum((ranks[i] - mean) * (members[i] - centre) for i in ids))
    one, other = updates
    return one @ other / np.sqrt((one @ one) * (other @ other))


@pytest.mark.parametrize("kind", ["Open_ES", "PGPE", "SNES", "Past_ES", "CMA_ES"])
def test_halves_agree_as_a_slow_twin_says(kind):
    strategy = strategy_of(kind)
    state, proposal = asked(strategy)
    members, centre = np.asarray(strategy.everyone(proposal), float), np.asarray(strategy.centre(state), float)
    losses = np.round(np.random.default_rng(0).normal(size=16), 1).astype(np.float32)
    found = Halves(strategy).cosine(proposal, strategy.centre(state), losses)
    assert found == pytest.approx(slow_cosine(members, centre, losses, strategy.rows), abs=1e-4)


def test_a_loss_that_is_not_finite_counts_as_the_worst():
    strategy = strategy_of("Open_ES")
    state, proposal = asked(strategy)
    losses = np.arange(16, dtype=np.float32)
    halves, broken = Halves(strategy), np.where(losses == 15, np.float32("nan"), losses)
    whole, mended = (halves.cosine(proposal, strategy.centre(state), each) for each in (losses, broken))
    assert whole == pytest.approx(mended, abs=1e-6)


@pytest.mark.parametrize("kind", ["Open_ES", pytest.param("SNES", marks=pytest.mark.long)])
def test_of_linear_losses_halves_agree_as_expected(kind):
    strategy = strategy_of(kind, population=40, shapes=((60,),))
    slope, halves = np.random.default_rng(1).normal(size=60), Halves(strategy)
    cosines = []
    for generation in range(60):
        state, proposal = asked(strategy, generation)
        losses = (np.asarray(strategy.everyone(proposal)) @ slope).astype(np.float32)
        cosines.append(halves.cosine(proposal, strategy.centre(state), losses))
    found = agreement(cosines, expected_cosine(strategy.rows // 2, 60))
    assert found.cosine == pytest.approx(found.expected, abs=4 * found.error)
    assert found.error < 0.2 * found.expected
    assert found.slope_share == found.cosine / found.expected


def test_of_losses_that_are_chance_halves_do_not_agree():
    strategy, generator = strategy_of("Open_ES", population=40, shapes=((60,),)), np.random.default_rng(2)
    halves = Halves(strategy)
    state, proposal = asked(strategy)
    cosines = [
        halves.cosine(proposal, strategy.centre(state), generator.normal(size=40).astype(np.float32))
        for _ in range(100)
    ]
    found = agreement(cosines, None)
    assert abs(found.cosine) < 4 * found.error
    assert found.slope_share is None


def test_a_cosine():
    assert cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(np.zeros(2), np.ones(2)) == 0.0
