"""Credit for decisions against finite differences of an exact expected loss, and hunts that are thinned out."""

from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from es_randomized import Experiment, Gradient, rng
from es_randomized.config.sections import Batch, Plan
from es_randomized.drivers.credit import advantage
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.errors import ConfigError
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.expected import Expected
from es_randomized.schedules import Ramp
from es_randomized.settings import settings
from es_randomized.tasks.decisions import Decisions, Sampled
from es_randomized.tasks.hunt_thinning import choose
from es_randomized.tasks.treasure_hunt import TreasureHunt
from tests.drivers.test_score_function import Bandit, bandit, chances, inputs
from tests.tools.function_policy import FunctionPolicy

pytestmark = pytest.mark.long  # whole trainings, for a quarter of a minute and more

CORRIDOR = TreasureHunt(rows=1, columns=4, steps=4, noise_width=1)
CELLS, STEPS = 4, 4
SHOWN = 1 + 1 + CELLS  # features that show noise, row and column; the reward is the next one
GENERATIONS = 3000


@settings
class Linear(Model):
    """Outputs are a matrix times the token."""

    def init(self, key, interface):
        drawn = 0.5 * jax.random.normal(key, (interface.outputs, interface.features))
        return drawn.at[:, 0].set(0.0)  # blind to the seed, so that the exact loss is one number

    def policy(self, weights, interface):
        return FunctionPolicy(lambda tokens: jnp.einsum("of,fnc->onc", weights, tokens))


def clock(time):
    angles = [2 * np.pi * time / period for period in (4, 8, 16, 32)]
    return [*np.sin(angles), *np.cos(angles)]


def token(cell, reward, time):
    return np.array([0, 1, *(int(cell == column) for column in range(CELLS)), reward, *clock(time)])


def expected_steps(weights, treasure):
    """The mean over all actions of all steps, one after the other, in float64."""
    weights = np.asarray(weights, np.float64).reshape(4, -1)

    @cache
    def go(episode, cell, step, time, reward, place):
        seen = token(place, reward, time) if time else np.array([0] * (SHOWN + 1) + clock(0))
        total = 0.0
        for action, chance in enumerate(special.softmax(weights @ seen)):
            there = min(max(cell + (0, 0, -1, 1)[action], 0), CELLS - 1)
            found = there == treasure
            reward_there = 1.0 if found else -0.1
            if not found and step + 1 < STEPS:
                rest = go(episode, there, step + 1, time + 1, reward_there, there)
            else:
                rest = go(1, 0, 0, time + 1, reward_there, there) if episode == 0 else 0.0
            total += chance * (1 + rest)
        return total

    return go(0, 0, 0, 0, 0.0, 0)


def hunt(credit, hunters, **driver):
    return Gradient.of(
        Experiment(
            task=replace(CORRIDOR, hunters=hunters),
            model=Linear(),
            objective=Expected(),
            batch=Batch(instances="all", seeds=5),
            driver=GradientSettings(credit=credit, **driver),
            plan=Plan(tile=5),
            seed=3,
        )
    )


@pytest.fixture(scope="module")
def slopes():
    """The gradients of many generations, by credit, hunters and samples, and the weights they belong to."""
    found = {}
    for credit, hunters, samples in (
        ("rollout", None, 1),
        ("decision", None, 1),
        ("decision", 2, 1),
        ("decision", 2, 3),
    ):
        driver = hunt(credit, hunters, samples=samples)
        weights = driver.init().weights

        @jax.jit
        def all_of(weights, generations, driver=driver):
            return jax.lax.map(lambda each: driver.gradient(weights, inputs(driver, each)), generations, batch_size=100)

        losses, gradients = all_of(weights, jnp.arange(GENERATIONS, dtype=jnp.uint32))
        found[credit, hunters, samples] = np.asarray(losses), np.asarray(gradients, np.float64)
    return np.asarray(weights, np.float64), found


@pytest.mark.parametrize("which", [("decision", None, 1), ("decision", 2, 1), ("decision", 2, 3)], ids=str)
def test_the_average_gradient_is_that_of_the_exact_expected_loss(slopes, which):
    weights, (losses, gradients) = slopes[0], slopes[1][which]

    def exact(weights):
        return np.mean([expected_steps(weights, treasure) for treasure in (1, 2, 3)])

    assert losses.mean() == pytest.approx(exact(weights), abs=4 * float(losses.std()) / GENERATIONS**0.5)
    signals, directions = [], np.random.default_rng(0).normal(size=(12, len(weights)))
    directions.reshape(12, 4, -1)[:, :, 0] = 0  # the seed's own weights
    for direction in directions:
        truth = (exact(weights + 1e-4 * direction) - exact(weights - 1e-4 * direction)) / 2e-4
        along = gradients @ direction
        error = along.std() / GENERATIONS**0.5
        assert along.mean() == pytest.approx(truth, abs=4 * float(error))
        signals.append(abs(truth) / error)
    assert max(signals) > 5  # or the test could not tell the gradient from nothing


def test_credit_for_decisions_has_less_variance_than_the_whole_loss(slopes):
    variance = {which: gradients.var(axis=0).sum() for which, (_, gradients) in slopes[1].items()}
    assert variance["decision", None, 1] < 0.8 * variance["rollout", None, 1]


def test_a_baseline_is_the_mean_of_the_other_seeds_that_decide_at_that_step():
    draw = np.random.default_rng(1)
    is_open, known = draw.random((2, 3, 2, 4)) < 0.6
    to_come, part = draw.normal(size=(2, 3, 2, 4)).astype(np.float32)
    sampled = Sampled(jnp.asarray(known), jnp.asarray(part))
    found = advantage(Decisions(jnp.zeros((3, 2, 4)), jnp.asarray(is_open), jnp.asarray(to_come), None, sampled))
    for step, instance, seed in np.ndindex(3, 2, 4):
        own = 0.0
        for losses, there in ((to_come, is_open), (part, is_open & known)):
            others = [losses[step, instance, s] for s in range(4) if s != seed and there[step, instance, s]]
            if there[step, instance, seed]:
                own += losses[step, instance, seed] - (np.mean(others) if others else 0)
        assert found[step, instance, seed] == pytest.approx(own, abs=1e-5)


def test_other_rollouts_of_the_same_seed_are_a_baseline_beside_the_mean_of_all():
    """Two seeds with three rollouts each: theirs, and one more that has the mean of the five others."""
    draw = np.random.default_rng(2)
    is_open, to_come = draw.random((4, 2, 6)) < 0.6, draw.normal(size=(4, 2, 6)).astype(np.float32)
    found = advantage(Decisions(jnp.zeros((4, 2, 6)), jnp.asarray(is_open), jnp.asarray(to_come)), samples=3)
    alone = 0
    for step, instance, case in np.ndindex(4, 2, 6):
        others = [c for c in range(6) if c != case and is_open[step, instance, c]]
        theirs = [to_come[step, instance, c] for c in others if c // 3 == case // 3]
        mean = np.mean(to_come[step, instance, others]) if others else 0
        own = to_come[step, instance, case] - np.mean([*theirs, mean]) if is_open[step, instance, case] else 0
        alone += bool(others) and not theirs
        assert found[step, instance, case] == pytest.approx(own, abs=1e-5)
    assert alone  # where nobody of the same seed is left, the others are all there is


def test_samples_of_a_seed_are_compared_where_seeds_differ_most():
    """Where the seed alone decides nearly everything, what is left of the loss is what an action did."""
    draw = np.random.default_rng(3)
    seeds, done = 10 * draw.normal(size=(1, 1, 16, 1)), draw.normal(size=(1, 1, 16, 4))
    losses = jnp.asarray((seeds + done).reshape(1, 1, 64), jnp.float32)
    decisions = Decisions(jnp.zeros((1, 1, 64)), jnp.ones((1, 1, 64), bool), losses)
    assert jnp.std(advantage(decisions, samples=4)) < 0.4 * jnp.std(advantage(decisions, samples=1))


def test_samples_are_rollouts_of_the_same_seed_with_actions_of_their_own():
    driver = hunt("decision", None)
    weights = driver.init().weights
    losses, decisions = jax.jit(partial(driver.fitness.sampled_losses, samples=40))(weights, np.uint32(0))
    assert losses.shape == (3, 200)
    assert decisions.to_come.shape == (2 * STEPS, 3, 200)
    nearest = np.asarray(losses).reshape(3, 5, 40)[0]
    assert (np.ptp(nearest, axis=1) > 0).all()


def test_samples_of_a_seed_have_the_same_numbers():
    """Right where the seed's number is positive, left otherwise, as good as surely."""
    driver = hunt("decision", None)
    driver = Gradient.of(replace(driver.experiment, task=replace(CORRIDOR, noise_on="every")))
    firm = jnp.zeros((4, CORRIDOR.interface.features)).at[2:, 0].set(jnp.array([-1e4, 1e4]))
    losses = jax.jit(partial(driver.fitness.sampled_losses, samples=4))(firm.reshape(-1), np.uint32(0))[0]
    numbers = CORRIDOR.seeds(rng.address(3, rng.Purpose.SEEDS, 0), 5)[0]
    expected = jnp.where(numbers > 0, 2 * jnp.arange(1, 4)[:, None], 2 * STEPS)
    assert len(np.unique(expected)) == 4
    np.testing.assert_array_equal(losses, jnp.repeat(expected, 4, axis=1))


def test_samples_of_a_seed_have_hunters_of_their_own():
    fitness = hunt("decision", 1, samples=3).fitness
    cases = fitness.observations(jnp.uint32(0), 3)
    numbers, chosen = np.asarray(cases.seeds[0, 0]).reshape(5, 3), np.asarray(cases.chosen[0, 0]).reshape(5, 3)
    np.testing.assert_array_equal(numbers, np.repeat(numbers[:, :1], 3, axis=1))
    assert all(len(set(row)) == 3 for row in chosen.tolist())


def test_samples_cost_as_many_seeds():
    assert hunt("decision", 1, samples=4).cost() == hunt("decision", 1).cost().times(4)


# Entropy


@settings
class Undecided(Bandit):
    """A bandit that says the entropy of its decisions."""

    def sampled_rollout(self, policy, observations, key):
        outcome, log_probability = super().sampled_rollout(policy, observations, key)
        chances = jax.nn.log_softmax(policy(observations[0])[:, 0], axis=0)
        entropy = -jnp.sum(jnp.exp(chances) * chances, axis=0)
        each = (log_probability, jnp.ones_like(log_probability, bool), outcome.loss, entropy[None])
        return outcome, Decisions(*(x[None] for x in each))


def test_the_bonus_adds_the_gradient_of_the_mean_entropy():
    plain = bandit(instances=2, seeds=3, tile=6)
    driver = Gradient.of(replace(plain.experiment, task=Undecided()))
    weights, now = driver.init().weights, inputs(driver, jnp.uint32(1))

    def entropy(weights):
        probability, _ = chances(driver, weights, jnp.uint32(1))
        return -jnp.mean(jnp.sum(probability * jnp.log(probability), axis=0))

    @jax.jit
    def all_three(weights):
        without, bonus = driver.gradient(weights, now)[1], driver.gradient(weights, now, jnp.float32(0.7))[1]
        return bonus - without, jax.grad(entropy)(weights)

    found, slope = all_three(weights)
    assert np.abs(slope).max() > 1e-3
    np.testing.assert_allclose(found, -0.7 * slope, atol=1e-6)


def test_the_bonus_falls_to_zero_where_it_should():
    settings_ = GradientSettings(entropy=Ramp(start=4, until=0.5))
    experiment = replace(hunt("decision", None).experiment, driver=settings_)
    experiment = replace(experiment, budget=replace(experiment.budget, generations=21))
    driver = Gradient.of(experiment)
    np.testing.assert_allclose([driver._told(g)[2] for g in (0, 5, 10, 11, 20)], [4, 2, 0, 0, 0], atol=1e-6)
    assert settings_.without_arguments() == GradientSettings(entropy=7.0).without_arguments()
    assert settings_.without_arguments() != GradientSettings().without_arguments()


def test_a_bonus_needs_a_task_that_says_its_entropy():
    experiment = replace(bandit(1, 2, 2).experiment, driver=GradientSettings(entropy=1.0))
    driver = Gradient.of(experiment)
    with pytest.raises(ConfigError, match=r"the sampled_rollout of Bandit does not say the entropy of its decisions"):
        driver.replay(driver.init(), 0, np.zeros(1))


# Hunters


def test_estimates_average_to_the_loss_of_every_treasure():
    """Over all treasures that a single hunter may get, each as often."""
    task = TreasureHunt(rows=2, columns=3, steps=6, noise_width=2, noise_on="every", episodes=3)
    model, seeds = Transformer(width=8, blocks=1, hidden=8), 6
    weights = jax.tree.map(lambda x: 3 * x, model.init(jax.random.key(2), task.interface))
    policy = model.policy(weights, task.interface)
    cases = task.observe(task.sample(jax.random.key(0), seeds), task.seeds(jax.random.key(1), seeds))
    losses = jax.jit(lambda cases: task.rollout(policy, cases).loss)
    exact = np.asarray(losses(cases))
    estimates = [losses(cases._replace(chosen=jnp.full((1, seeds), which))) for which in range(task.bundle)]
    np.testing.assert_allclose(np.mean(estimates, axis=0), exact, rtol=1e-5)
    assert len(np.unique(exact)) >= 3
    assert (np.asarray(estimates[0]) != exact).any()
    every = jnp.tile(jnp.arange(task.bundle)[::-1, None], seeds)
    np.testing.assert_allclose(losses(cases._replace(chosen=every)), exact, rtol=1e-6)


def test_every_treasure_is_chosen_as_often_and_never_twice_for_a_case():
    draws = 3000
    chosen = np.asarray(jax.vmap(lambda key: choose(key, 5, 2, 7))(jax.random.split(jax.random.key(0), draws)))
    assert (chosen[:, 0] != chosen[:, 1]).all()
    counts = np.stack([(chosen == treasure).any(axis=1).mean(axis=0) for treasure in range(5)])
    np.testing.assert_allclose(counts, 0.4, atol=5 * (0.24 / draws) ** 0.5)
    totals = np.stack([(chosen == treasure).sum(axis=(1, 2)) for treasure in range(5)])
    assert np.ptp(totals, axis=0).max() <= 1


def test_all_are_hunted_where_weights_are_scored():
    thin, whole = replace(CORRIDOR, hunters=1), CORRIDOR
    weights = 3 * np.random.default_rng(0).normal(size=(1, 4 * whole.interface.features)).astype(np.float32)
    runs = RepeatedRuns(whole.seeds(jax.random.key(3), 20), jnp.asarray(weights), None)
    found = [Outcomes(task, Linear())(runs, task.enumerate()) for task in (thin, whole)]
    jax.tree.map(np.testing.assert_array_equal, *found)


def test_training_pays_for_hunters_only():
    costs = [hunt("decision", hunters).cost().tokens for hunters in (None, 1)]
    assert costs == [5 * STEPS * (1 + 3), 5 * STEPS * (1 + 1)]


def test_generations_choose_anew():
    fitness = hunt("decision", 1).fitness
    chosen = [np.asarray(fitness.observations(jnp.uint32(g)).chosen) for g in range(6)]
    assert any((a != b).any() for a, b in pairwise(chosen))


def test_more_hunters_than_treasures_are_refused():
    with pytest.raises(ValueError, match="hunters is 4, but there are 3 possible treasures"):
        replace(CORRIDOR, hunters=4)
