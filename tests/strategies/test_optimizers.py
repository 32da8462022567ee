"""ClipUp is our own: it must be the one PGPE was published with, as evosax has it."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.core.optimizer import scale_by_clipup

from es_randomized.strategies.optimizers import Optimizer


def test_clipup_moves_as_evosaxs_does():
    rate, momentum = 0.05, 0.9
    ours = Optimizer(kind="clipup", learning_rate=rate, momentum=momentum).build(generations=30)
    theirs = optax.chain(
        optax.normalize_by_update_norm(), scale_by_clipup(momentum=momentum), optax.scale_by_learning_rate(rate)
    )
    weights = jnp.zeros(7)
    states = ours.init(weights), theirs.init(weights)
    # Steady directions reach the largest speed, turning ones stay below it: both branches are met.
    for key in jax.random.split(jax.random.key(0), 30):
        gradient = jnp.ones(7) + 0.5 * jax.random.normal(key, (7,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            expected, theirs_state = theirs.update(gradient, states[1], weights)
        step, ours_state = ours.update(gradient, states[0], weights)
        states = ours_state, theirs_state
        np.testing.assert_allclose(step, expected, rtol=1e-6)
    assert np.isclose(np.linalg.norm(step), rate * 2.0, rtol=1e-5)
