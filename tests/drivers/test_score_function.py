"""The score function on a bandit whose exact gradient is known: by enumeration, and on average."""

from dataclasses import replace
from itertools import product
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Experiment, Gradient, rng
from es_randomized.cases import pair
from es_randomized.config.sections import Batch, Plan
from es_randomized.drivers.credit import advantage
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.errors import ConfigError
from es_randomized.fitness import one_decision, unraveller
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.expected import Expected
from es_randomized.policy import Interface
from es_randomized.settings import settings
from es_randomized.tasks.task import Outcome, Task

ARMS = 3
COST = np.array([[0.0, 2.0, 1.0], [3.0, 0.5, 1.0], [1.0, 4.0, 0.0]], np.float32)  # [context, arm]


@settings
class Plain(Task):
    """One pull: an instance is a context, a seed one number, the loss the cost of the likeliest arm."""

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    @property
    def interface(self):
        return Interface(features=ARMS + 1, outputs=ARMS)

    def sample(self, key, count):
        return jax.random.randint(key, (count,), 0, ARMS)

    def enumerate(self):
        return np.arange(ARMS)

    def seeds(self, key, count):
        return jax.random.normal(key, (count,))

    def observe(self, instances, seeds):
        return jnp.concatenate([jax.nn.one_hot(instances, ARMS, axis=0), seeds[None]])[:, None], instances

    def outcome(self, arms, contexts):
        loss = jnp.asarray(COST)[contexts, arms]
        return Outcome(loss[None], loss[None] == 0, arms[None])

    def rollout(self, policy, observations):
        tokens, contexts = observations
        return self.outcome(jnp.argmax(policy(tokens)[:, 0], axis=0), contexts)

    def references(self):
        return []


@settings
class Bandit(Plain):
    """The same with sampled arms."""

    def sampled_rollout(self, policy, observations, key):
        tokens, contexts = observations
        chances = jax.nn.log_softmax(policy(tokens)[:, 0], axis=0)
        arms = self.choose(chances, key)
        return self.outcome(arms, contexts), jnp.take_along_axis(chances, arms[None], axis=0)

    def choose(self, chances, key):
        return jax.random.categorical(key, chances, axis=0)


def bandit(instances, seeds, tile):
    experiment = Experiment(
        task=Bandit(),
        model=Transformer(width=4, blocks=1, hidden=4),
        objective=Expected(),
        batch=Batch(instances=instances, seeds=seeds),
        driver=GradientSettings(),
        plan=Plan(tile=tile),
        seed=2,
    )
    return Gradient.of(experiment)


def chances(driver, weights, generation):
    """Probability of every arm [arm, case] and the contexts [case]."""
    task, model, batch = driver.experiment.task, driver.experiment.model, driver.experiment.batch
    contexts = task.sample(rng.address(2, rng.Purpose.INSTANCES, generation), batch.instances)
    seeds = task.seeds(rng.address(2, rng.Purpose.SEEDS, generation), batch.seeds)
    tokens, contexts = task.observe(*pair(contexts, seeds))
    policy = model.policy(unraveller(model, task)(weights), task.interface)
    return jax.nn.softmax(policy(tokens)[:, 0], axis=0), contexts


def inputs(driver, generation):
    return jax.tree.map(jnp.asarray, driver.fitness.inputs(0))._replace(generation=generation)


def exact(driver, weights, generation):
    """The gradient of the expected cost of a batch, summed over arms."""

    def expected(weights):
        probability, contexts = chances(driver, weights, generation)
        return jnp.mean(jnp.sum(probability * jnp.asarray(COST)[contexts].T, axis=0))

    return jax.grad(expected)(weights)


@pytest.mark.long
def test_summed_over_all_actions_it_is_the_exact_gradient(monkeypatch):
    driver, generation = bandit(instances=1, seeds=2, tile=2), jnp.uint32(1)
    weights = driver.init().weights
    known = jax.jit(lambda weights: (chances(driver, weights, generation), exact(driver, weights, generation)))
    (probability, contexts), truth = known(weights)

    @jax.jit
    @jax.vmap
    def weighed(arms):
        monkeypatch.setattr(Bandit, "choose", lambda *_: arms)
        loss, slope = driver.gradient(weights, inputs(driver, generation))
        return jnp.prod(probability[arms, jnp.arange(2)]) * jnp.concatenate([loss[None], slope])

    found = weighed(jnp.array(list(product(range(ARMS), repeat=2)))).sum(axis=0)
    np.testing.assert_allclose(found[1:], truth, atol=1e-6)
    assert float(found[0]) == pytest.approx(float((probability * COST[contexts].T).sum(axis=0).mean()), rel=1e-5)


@pytest.mark.long
def test_on_average_over_generations_it_is_the_exact_gradient():
    driver, generations = bandit(instances=4, seeds=3, tile=4), 2000
    weights = driver.init().weights

    @jax.jit
    def errors(generations):
        def error(generation):
            truth = exact(driver, weights, generation)
            return driver.gradient(weights, inputs(driver, generation))[1] - truth, truth

        return jax.lax.map(error, generations)

    error, truth = (np.asarray(x) for x in errors(jnp.arange(generations, dtype=jnp.uint32)))
    standard_error = error.std(axis=0) / generations**0.5
    assert (np.abs(error.mean(axis=0)) <= 4 * standard_error + 1e-7).all()
    large = np.abs(truth.mean(axis=0)) > 10 * standard_error
    assert large.sum() > 10  # or the test could not tell the gradient from nothing


def test_tiles_and_generations_have_actions_of_their_own():
    driver = bandit(instances=3, seeds=200, tile=200)
    flat = jnp.zeros(driver.parameters)  # every arm is as likely
    sample = jax.jit(driver.fitness.sampled_losses)
    losses, decisions = sample(flat, np.uint32(0))
    np.testing.assert_allclose(decisions.log_probability, np.full((1, 3, 200), -np.log(3)), rtol=1e-6)
    contexts = np.asarray(driver.experiment.task.sample(rng.address(2, rng.Purpose.INSTANCES, 0), 3))
    arms = np.array(
        [[np.flatnonzero(COST[x] == loss)[0] for loss in row] for x, row in zip(contexts, losses, strict=True)]
    )
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (arms[first] == arms[second]).mean() == pytest.approx(1 / 3, abs=0.15)
    assert (np.asarray(sample(flat, np.uint32(1))[0]) != np.asarray(losses)).any()


def test_the_baseline_is_the_mean_of_the_other_seeds():
    losses = jnp.array([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]])
    found = advantage(one_decision(losses, jnp.zeros((2, 3))))[0]
    np.testing.assert_allclose(found, losses - np.array([[4.0, 3.5, 1.5], [1.5, 1.5, 0.0]]), rtol=1e-6)
    np.testing.assert_array_equal(advantage(one_decision(losses[:, :1], jnp.zeros((2, 1))))[0], losses[:, :1])


def test_it_is_named_where_the_driver_is():
    assert "score function (samples actions while training)" in bandit(1, 2, 2).title


def test_a_task_without_gradient_and_without_samples_is_refused():
    experiment = replace(bandit(1, 2, 2).experiment, task=Plain())
    with pytest.raises(
        ConfigError, match=r"cannot train Plain: its loss has no gradient .*; use an evolution strategy"
    ):
        Gradient.of(experiment)
