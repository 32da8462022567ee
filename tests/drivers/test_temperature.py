"""Evolution with sampled actions: against a bandit played by hand, closed forms, and the best actions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, Experiment, local_evaluator, rng
from es_randomized.config.sections import Batch, Plan
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.expected import Expected
from es_randomized.schedules import Schedule
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.treasure_hunt import TreasureHunt
from tests.drivers.test_score_function import COST, Bandit, Plain, chances

GENERATION = np.uint32(3)


def evolution(task=None, temperature=None, instances=4, seeds=6, **model):
    experiment = Experiment(
        task=task or Bandit(),
        model=Transformer(**({"width": 4, "blocks": 1, "hidden": 4} | model)),
        objective=Expected(),
        batch=Batch(instances=instances, seeds=seeds),
        driver=Open_ES.Settings(kind="Open_ES", population=8, std=0.5, temperature=temperature),
        plan=Plan(tile=6, chunk=4),
        seed=2,
    )
    return Evolution.of(experiment)


def losses_of(driver):
    ask = driver.strategy.ask(driver.init(), int(GENERATION))
    return local_evaluator(driver).evaluate(ask), np.asarray(driver.strategy.everyone(ask.proposal))


def test_members_lose_what_the_arms_cost_that_are_drawn_with_the_keys_of_tiles():
    driver = evolution(temperature=0.5)
    losses, members = losses_of(driver)
    for loss, weights in zip(losses, members, strict=True):
        probability, contexts = chances(driver, jnp.asarray(weights), GENERATION)
        tiles = np.log(probability).reshape(3, 4, 6) / 0.5  # [arm, tile, case]: softmax of outputs over the temperature
        keys = [rng.address(2, rng.Purpose.ACTIONS, GENERATION, tile) for tile in range(4)]
        arms = [
            jax.random.categorical(key, tile, axis=0) for key, tile in zip(keys, np.moveaxis(tiles, 1, 0), strict=True)
        ]
        assert loss == pytest.approx(COST[np.asarray(contexts), np.concatenate(arms)].mean(), rel=1e-5)
    assert len(set(losses.tolist())) > 4


@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_on_average_it_is_the_expected_cost_of_a_softmax(temperature):
    driver = evolution(temperature=temperature)
    weights, generations = 2 * driver.centre(driver.init()), 2000

    @jax.jit
    def both(weights):
        def each(generation):
            probability, contexts = chances(driver, weights, generation)
            powered = probability ** (1 / temperature)
            softened = powered / jnp.sum(powered, axis=0, keepdims=True)
            truth = jnp.mean(jnp.sum(softened * jnp.asarray(COST)[contexts].T, axis=0))
            inputs = jax.tree.map(jnp.asarray, driver.inputs(0))._replace(generation=generation)
            return jnp.mean(driver.fitness.at(inputs).losses(weights, generation)), truth

        return jax.lax.map(each, jnp.arange(generations, dtype=jnp.uint32))

    found, truth = (np.asarray(x, np.float64) for x in both(weights))
    difference = found - truth
    assert abs(difference.mean()) < 4 * difference.std() / generations**0.5
    assert difference.std() > 0.01


@pytest.mark.parametrize(
    "task",
    [Bandit(), TreasureHunt(rows=2, columns=3, steps=6, noise_width=2, hunters=2, episodes=3)],
    ids=["bandit", "hunt"],
)
def test_a_temperature_near_zero_takes_the_best_actions(task):
    instances = "all" if isinstance(task, TreasureHunt) else 4
    found, best = (losses_of(evolution(task, temperature, instances))[0] for temperature in (1e-6, None))
    np.testing.assert_allclose(found, best, rtol=1e-6)
    assert len(set(best.tolist())) > 1


def test_all_members_meet_the_same_luck():
    driver = evolution(TreasureHunt(rows=2, columns=3, steps=6, noise_width=2), 100.0, "all")
    still = replace(driver.settings, std=1e-6)
    losses, _ = losses_of(Evolution.of(replace(driver.experiment, driver=still)))
    assert len(set(losses.tolist())) == 1
    later = local_evaluator(driver).evaluate(driver.strategy.ask(driver.init(), 4))
    assert later[0] != losses[0]


def test_a_schedule_is_told_to_programs_that_runs_share():
    settings = Open_ES.Settings(kind="Open_ES", temperature=Schedule(start=0.5, end=0.05, shape="exponential"))
    experiment = replace(evolution(temperature=0.5).experiment, driver=settings)
    driver = Evolution.of(replace(experiment, budget=replace(experiment.budget, generations=3)))
    told = [driver.inputs(generation).temperature for generation in range(3)]
    np.testing.assert_allclose(told, [0.5, 0.5 * 0.1**0.5, 0.05], rtol=1e-5)
    other = Open_ES.Settings(kind="Open_ES", temperature=2.0)
    assert settings.without_arguments() == other.without_arguments()
    assert settings.without_arguments() != Open_ES.Settings(kind="Open_ES").without_arguments()


def test_a_task_without_sampled_actions_is_refused():
    with pytest.raises(
        ConfigError, match=r"driver.temperature is about sampled actions, but Plain has no sampled_rollout"
    ):
        evolution(Plain(), 0.5)
