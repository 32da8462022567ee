"""Evolution minimises the objective it is given: on a quadratic, and on a game where averages and worst cases disagree."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, Experiment, local_evaluator, train
from es_randomized.config.sections import Batch, Budget, Plan
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.expected import Expected
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.worst_case import WorstCase
from es_randomized.policy import Interface
from es_randomized.references import games
from es_randomized.schedules import Schedule
from es_randomized.settings import settings
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.evosax_adapter import EvosaxStrategy
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.strategy import SearchSpace
from es_randomized.tasks.task import Bounds, Outcome, Task

LOSSES = np.array([[0.6, 0.0], [0.0, 1.0]], np.float32)  # [action, instance]
TRAINING = Open_ES.Settings(
    population=32,
    std=Schedule(start=0.2, end=0.02),
    optimizer=Optimizer(learning_rate=Schedule(start=0.1, end=0.002)),
)


@settings
class Game(Task):
    """One action, chosen from the seed alone: the policy does not see which of the two instances it meets."""

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    @property
    def interface(self):
        return Interface(features=2, outputs=2)

    @property
    def loss_bounds(self):
        return Bounds(low=0.0)

    def sample(self, key, count):
        return jax.random.randint(key, (count,), 0, 2)

    def enumerate(self):
        return np.arange(2)

    def seeds(self, key, count):
        return jax.random.uniform(key, (count,))

    def observe(self, bundles, seeds):
        return jnp.stack([seeds, jnp.ones_like(seeds)])[:, None], bundles

    def rollout(self, policy, observations):
        tokens, instances = observations
        actions = jnp.argmax(policy(tokens), axis=0)
        loss = jnp.asarray(LOSSES)[actions, instances[None]]
        return Outcome(loss, loss == 0, actions)

    def references(self):
        return []


def mixture(evolution, weights):
    """How often each action is chosen, over all seeds."""
    seeds = jnp.linspace(0.0, 1.0, 2001)
    tokens, _ = evolution.fitness.task.observe(jnp.zeros(2001, int), seeds)
    policy = evolution.fitness.model.policy(evolution.fitness.unravel(weights), evolution.fitness.task.interface)
    return np.bincount(np.argmax(policy(tokens)[:, 0], axis=0), minlength=2) / 2001


def trained(objective):
    """The mixtures of actions before and after training."""
    experiment = Experiment(
        task=Game(),
        model=Transformer(width=4, blocks=1, hidden=8),
        objective=objective,
        batch=Batch(instances="all", seeds=1024),
        driver=TRAINING,
        budget=Budget(generations=100),
        plan=Plan(chunk=TRAINING.population),
        seed=0,
    )
    evolution = Evolution.of(experiment)
    for step in train(evolution, local_evaluator(evolution), evolution.init()):
        state = step.state
    return mixture(evolution, evolution.centre(evolution.init())), mixture(evolution, evolution.centre(state))


@pytest.mark.long
def test_the_mean_is_minimised_by_one_action_without_randomness():
    before, after = trained(Expected())
    assert (before @ LOSSES).mean() > 0.4
    np.testing.assert_array_equal(after, [1, 0])
    assert (after @ LOSSES).mean() == pytest.approx(LOSSES.mean(axis=1).min())


@pytest.mark.long
@pytest.mark.parametrize("objective", [WorstCase(), QNorm(q=50.0)], ids=lambda objective: type(objective).__name__)
def test_the_worst_case_is_minimised_by_the_mixture_that_solves_the_game(objective):
    solution = games.solve(LOSSES)
    assert solution.value == pytest.approx(0.375)
    before, after = trained(objective)
    assert (before @ LOSSES).max() > 0.5
    np.testing.assert_allclose(after, solution.mixture, atol=0.03)
    assert (after @ LOSSES).max() == pytest.approx(solution.value, abs=0.02)


def test_a_quadratic_is_minimised_at_its_optimum():
    optimum, curvature = np.linspace(-1, 1, 10), np.linspace(1, 5, 10)
    strategy = EvosaxStrategy(TRAINING, SearchSpace(shapes=((10,),), seed=0, generations=200))
    state = strategy.init(jax.random.key(1), jnp.full(10, 0.5))
    for generation in range(200):
        ask = strategy.ask(state, generation)
        members = np.asarray(strategy.everyone(ask.proposal), np.float64)
        state = strategy.tell(ask, ((members - optimum) ** 2 @ curvature).astype(np.float32))
    np.testing.assert_allclose(strategy.centre(state), optimum, atol=0.02)
