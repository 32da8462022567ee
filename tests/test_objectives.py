"""Objectives against float64 closed forms, their bounds, and properties every one of them must have."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from es_randomized import Evolution, LocalEvaluator
from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import class_of, names
from es_randomized.config.sections import Batch, Plan
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.above import Above
from es_randomized.objectives.cvar import CVaR
from es_randomized.objectives.expected import Expected
from es_randomized.objectives.guided import Guided
from es_randomized.objectives.log_sum_exp import LogSumExp
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.specialists import Specialists
from es_randomized.objectives.split_batch import SplitBatch
from es_randomized.objectives.worst_case import WorstCase
from es_randomized.schedules import Schedule
from es_randomized.settings import settings
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.task import Bounds

LOSSES = np.random.default_rng(1).uniform(0, 3, (7, 5)).astype(np.float32)
SAMPLES = [
    Expected(),
    QNorm(q=1.0),
    QNorm(q=3.0),
    QNorm(q=100.0),
    WorstCase(),
    CVaR(alpha=0.1),
    CVaR(alpha=0.37),
    CVaR(alpha=1.0),
    LogSumExp(tau=2.0),
    LogSumExp(tau=50.0),
]


def q_norm(expected, q):
    largest = expected.max()
    return largest * np.mean((expected / largest) ** q) ** (1 / q)


def cvar(expected, alpha):
    """Rockafellar and Uryasev: min over t of t + mean(max(x - t, 0)) / alpha, attained at one of the values."""
    return min(t + np.maximum(expected - t, 0).mean() / alpha for t in expected)


def log_sum_exp(expected, tau):
    return np.log(np.mean(np.exp(tau * expected))) / tau


CLOSED_FORMS = {
    Expected: lambda _, x: x.mean(),
    QNorm: lambda objective, x: q_norm(x, objective.q),
    WorstCase: lambda _, x: x.max(),
    CVaR: lambda objective, x: cvar(x, objective.alpha),
    LogSumExp: lambda objective, x: log_sum_exp(x, objective.tau),
}


@cache
def compiled(objective):
    return jax.jit(lambda losses: objective(losses))


def value(objective, losses):
    return float(compiled(objective)(np.asarray(losses, np.float32)))


# Losses of any sign and size

SIGNS = {
    "negative": -LOSSES - 0.5,
    "mixed": LOSSES - 1.5,
    "huge": 1e30 * LOSSES,
    "huge and negative": -1e30 * LOSSES,
    "huge and mixed": 1e30 * (LOSSES - 1.5),
}


def shifted_log_sum_exp(expected, tau):
    largest = expected.max()
    return largest + log_sum_exp(expected - largest, tau)


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("objective", [o for o in SAMPLES if not o.takes_powers], ids=repr)
def test_losses_of_any_sign_and_size_have_the_closed_form(objective, name):
    expected = SIGNS[name].astype(np.float32).astype(np.float64).mean(axis=1)
    forms = CLOSED_FORMS | {LogSumExp: lambda objective, x: shifted_log_sum_exp(x, objective.tau)}
    size = float(np.abs(SIGNS[name]).max())
    assert value(objective, SIGNS[name]) == pytest.approx(forms[type(objective)](objective, expected), abs=1e-5 * size)


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("q", [1.0, 3.0, 100.0])
def test_powers_are_of_what_is_above_the_lower_bound(q, name):
    losses = SIGNS[name].astype(np.float32)
    low = float(np.float32(losses.min() - 0.1 * np.ptp(losses)))
    expected = low + q_norm(losses.astype(np.float64).mean(axis=1) - low, q)
    assert value(Above(QNorm(q=q), low), losses) == pytest.approx(expected, abs=1e-5 * float(np.abs(losses).max()))
    halves = jax.jit(SplitBatch(Above(QNorm(q=q), low), "instances").__call__)(losses[:6])
    twins = [
        low + q_norm(part.astype(np.float64).mean(axis=1) - low, q) for part in (losses[:6], losses[:3], losses[3:6])
    ]
    np.testing.assert_allclose(halves, twins, atol=1e-5 * np.abs(losses).max())


@settings
class Rewarded(CycleColouring):
    """A task of a user's: minus a reward, with a lower bound or without."""

    low: float = -np.inf

    @property
    def loss_bounds(self):
        return Bounds(self.low, np.inf)

    def rollout(self, policy, observations):
        outcome = super().rollout(policy, observations)
        return outcome._replace(loss=outcome.loss - 4)


SMALL = {"model": Transformer(width=4, blocks=1, hidden=4), "batch": Batch(instances=4, seeds=2), "seed": 1}


def test_powers_of_losses_without_a_lower_bound_are_refused_by_name():
    with pytest.raises(
        ConfigError, match=r"q_norm takes powers .* Rewarded has none; declare loss_bounds .* worst_case"
    ):
        Experiment(task=Rewarded(n=5), **SMALL)
    Experiment(task=Rewarded(n=5), objective=WorstCase(), **SMALL)


@pytest.mark.parametrize("objective", [QNorm(q=3.0), QNorm(q=Schedule(start=3.0, end=3.0)), WorstCase()], ids=repr)
def test_training_sees_what_a_negative_loss_says(objective):
    """Members lose what they lose without the shift, less 4: none of it is clamped."""
    settings = Open_ES.Settings(population=4)
    plan = Plan(chunk=4, tile=8)
    plain, shifted = (
        Evolution.of(Experiment(task=task, objective=objective, driver=settings, plan=plan, **SMALL))
        for task in (CycleColouring(n=5), Rewarded(n=5, low=-4.0))
    )
    ask = plain.strategy.ask(plain.init(), 0)
    losses = LocalEvaluator(shifted).evaluate(ask)
    assert (losses < -1).all()
    assert len(set(losses.tolist())) > 1
    np.testing.assert_allclose(losses, LocalEvaluator(plain).evaluate(ask) - 4, rtol=1e-5)


def of_expected(objective, expected):
    """The objective where every instance has one seed."""
    return value(objective, np.reshape(expected, (-1, 1)))


def test_every_objective_is_tested_here():
    assert (
        {type(objective) for objective in SAMPLES}
        == {class_of("objective", kind) for kind in names("objective")} - {Specialists, Guided}  # test_specialists.py
        == set(CLOSED_FORMS)
    )


@pytest.mark.parametrize("objective", SAMPLES, ids=repr)
def test_values_equal_the_closed_form_after_the_mean_over_seeds(objective):
    expected = CLOSED_FORMS[type(objective)](objective, LOSSES.astype(np.float64).mean(axis=1))
    assert value(objective, LOSSES) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.05, 0.15, 0.25, 0.5, 0.95])
def test_cvar_counts_the_last_instance_with_the_rest_of_the_weight(alpha):
    expected = np.random.default_rng(4).uniform(0, 1, 10)
    assert of_expected(CVaR(alpha=alpha), expected) == pytest.approx(cvar(expected, alpha), rel=1e-5)


def test_q_1_is_the_mean_and_a_large_q_does_not_underflow():
    assert value(QNorm(q=1.0), LOSSES) == pytest.approx(LOSSES.mean(), rel=1e-6)
    tiny = np.array([0.01, 0.02])
    assert of_expected(QNorm(q=100.0), tiny) == pytest.approx(q_norm(tiny, 100), rel=1e-5)
    assert of_expected(QNorm(q=100.0), tiny) == pytest.approx(0.02 * 2 ** (-1 / 100), rel=1e-5)


@pytest.mark.parametrize("objective", SAMPLES, ids=repr)
@pytest.mark.parametrize("losses", [np.zeros((4, 2)), np.array([[0.0, 0.0], [0.5, 1.0], [0.0, 0.0], [1.0, 0.0]])])
def test_zero_losses_have_finite_values_and_gradients(objective, losses):
    found, slope = jax.jit(jax.value_and_grad(objective))(losses.astype(np.float32))
    assert np.isfinite(slope).all()
    assert float(found) == pytest.approx(0.0, abs=1e-6) if not losses.any() else float(found) > 0


@pytest.mark.parametrize("expected", [[5.0, 0.0, 0.0], [-1e3, -9e3, -2e3], [1.0, 0.9, 0.5], [2.0, 2.0, 0.0]])
def test_the_gradient_of_log_sum_exp_weighs_instances_by_its_softmax(expected):
    slope = jax.jit(jax.grad(LogSumExp(tau=10.0).combine))(jnp.array(expected))
    weights = np.exp(10 * (np.array(expected) - max(expected)))
    np.testing.assert_allclose(slope, weights / weights.sum(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("objective", SAMPLES, ids=repr)
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_loss_is_never_hidden(objective, broken):
    losses = LOSSES.copy()
    losses[2, 3] = broken
    assert not np.isfinite(value(objective, losses))


finite_losses = arrays(np.float32, 6, elements=st.floats(0, 30, width=32))


@given(finite_losses)
@pytest.mark.parametrize("objective", SAMPLES, ids=repr)
def test_values_lie_between_the_mean_and_the_maximum(objective, losses):
    found = of_expected(objective, losses)
    slack = 1e-5 * (1 + losses.max())
    assert losses.mean() - slack <= found <= losses.max() + slack


@given(finite_losses, st.integers(0, 5), st.floats(0, 10, width=32))
@pytest.mark.parametrize("objective", SAMPLES, ids=repr)
def test_a_larger_loss_never_gives_a_smaller_value(objective, losses, index, more):
    larger = losses.copy()
    larger[index] += more
    assert of_expected(objective, losses) <= of_expected(objective, larger) + 1e-5 * (1 + larger.max())


@given(finite_losses, st.sampled_from([1.0, 2.0, 10.0, 135.0]))
def test_the_q_norm_is_close_to_the_maximum_as_proved(losses, q):
    found = of_expected(QNorm(q=q), losses)
    assert 6 ** (-1 / q) * losses.max() <= found * (1 + 1e-5) + 1e-30
    assert found <= losses.max() * (1 + 1e-5) + 1e-30


@given(finite_losses, st.sampled_from([0.5, 10.0, 200.0]))
def test_log_sum_exp_is_close_to_the_maximum_as_proved(losses, tau):
    found = of_expected(LogSumExp(tau=tau), losses)
    assert losses.max() - np.log(6) / tau - 1e-4 <= found <= losses.max() + 1e-4


def test_a_scheduled_q_is_the_plain_q_of_each_generation():
    objective = QNorm(q=Schedule(start=2.0, end=8.0, shape="linear"))
    losses = np.random.default_rng(3).uniform(0.1, 2, (6, 4)).astype(np.float32)
    for generation, q in ((0, 2.0), (5, 5.0), (10, 8.0)):
        at = objective.given(jnp.float32(objective.values(11)[generation]))
        expected = (losses.mean(axis=1).astype(np.float64) ** q).mean() ** (1 / q)
        assert float(at(jnp.asarray(losses))) == pytest.approx(expected, rel=1e-5)


def test_a_schedule_of_q_below_one_is_refused():
    with pytest.raises(ValueError, match="q must be at least 1"):
        QNorm(q=Schedule(start=0.5, end=8.0))
