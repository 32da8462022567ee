"""Every task with every kind of driver, through the calls behind `train` and `evaluate`: a new task or driver must join in."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, Gradient, driver_of, evaluate, local_evaluator, train
from es_randomized.config.kinds import names
from es_randomized.config.yaml import build, changed, dump, parse
from es_randomized.distributed.evaluator import RayEvaluator
from es_randomized.distributed.session import connect
from es_randomized.drivers.around import Around
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.phased import Phased
from es_randomized.evaluation.stored import summary_of
from tests.tools.function_policy import FunctionPolicy

TASKS = {  # settings of a tiny one, and as many instances as are two bundles or more
    "associative_recall": ("n: 3, bits: 2, noise_width: 2", 6),
    "cycle_colouring": ("n: 5", 4),
    "graph_colouring": ("n: 3, rounds: 2", 4),
    "paging": ("slots: 2, requests: 4, noise_width: 2", 8),
    "permutation_mastermind": ("n: 3, guesses: 3, noise_width: 2", 6),
    "treasure_hunt": ("rows: 2, columns: 2, steps: 4, noise_width: 2", 6),
}
OF_ANOTHER_LIBRARY = ("gymnax_environment",)  # tests/tasks/test_gymnax_environment.py
DRIVERS = {Evolution: "kind: Open_ES, population: 8, std: 0.5", Gradient: "kind: gradient"}
EXPERIMENT = """
task: {{kind: {task}, {settings}}}
model: {{width: 4, blocks: 1, hidden: 4}}
batch: {{instances: {instances}, seeds: 4}}
driver: {{{driver}}}
budget: {{generations: 2}}
evaluation: {{seeds: 8, votes: [3], instances: 12}}
plan: {{chunk: 8}}
"""


def experiment(task, driver):
    settings, instances = TASKS[task]
    return parse(EXPERIMENT.format(task=task, settings=settings, instances=instances, driver=driver))


def test_every_task_and_every_kind_of_driver_is_here():
    assert list(TASKS) == [name for name in names("task") if name not in OF_ANOTHER_LIBRARY]
    assert set(DRIVERS) == set(Driver.__subclasses__()) - {Phased, Around}, "those drive other drivers"


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("task", TASKS)
def test_two_generations_move_the_weights_and_can_be_replayed(task, kind):
    driver = driver_of(experiment(task, DRIVERS[kind]))
    assert type(driver) is kind
    first = replayed = driver.init()
    for step in train(driver, local_evaluator(driver), first):
        assert step.losses.shape == (driver.losses_per_generation,)
        assert np.isfinite(step.losses).all()
        replayed = driver.replay(replayed, step.generation, step.losses)
    assert step.generation == 1
    assert (np.asarray(driver.centre(step.state)) != np.asarray(driver.centre(first))).any()
    jax.tree.map(np.testing.assert_array_equal, replayed, step.state)
    assert min(vars(driver.cost()).values()) > 0


@pytest.mark.parametrize("task", TASKS)
def test_half_precision_plays_nearly_the_same(task):
    single = driver_of(experiment(task, DRIVERS[Evolution]))
    half = driver_of(changed(single.experiment, {"model.precision": "bfloat16"}))
    losses = [next(iter(train(driver, local_evaluator(driver), driver.init()))).losses for driver in (single, half)]
    least, most = single.experiment.task.loss_bounds
    assert np.isfinite(losses[1]).all()
    assert np.abs(losses[1] - losses[0]).mean() < 0.2 * (most - least)


@pytest.mark.cluster
def test_every_task_gives_the_same_losses_on_ray():
    with connect(2, None):
        for task in TASKS:
            driver = driver_of(experiment(task, DRIVERS[Evolution]))
            here = [step.losses for step in train(driver, local_evaluator(driver), driver.init())]
            with RayEvaluator(driver, 2) as evaluator:
                there = [step.losses for step in train(driver, evaluator, driver.init())]
            np.testing.assert_array_equal(there, here, task)


@pytest.mark.parametrize("name", TASKS)
def test_seeds_show_in_the_features_that_the_interface_says_and_nowhere_else(name):
    task = experiment(name, DRIVERS[Gradient]).task
    interface, seeds = task.interface, 16
    generator = np.random.default_rng(0)
    readout = jnp.asarray(generator.normal(size=(interface.outputs, interface.features)), jnp.float32)

    def answers(weight):
        seen = readout.at[:, np.array(interface.seed_features)].multiply(weight)

        def policy(tokens):
            return jnp.einsum("of,fnc->onc", seen, tokens[:, interface.connectivity.silent :])

        bundles = jnp.repeat(task.sample(jax.random.key(1), 1), seeds, axis=-1)
        observations = task.observe(bundles, task.seeds(jax.random.key(2), seeds))
        return task.rollout(FunctionPolicy(policy), observations).answer

    blind, seeing = (np.asarray(jax.jit(answers)(weight)) for weight in (0.0, 10.0))
    assert (blind == blind[:, :1]).all()
    assert (seeing != seeing[:, :1]).any()


@pytest.mark.parametrize("name", TASKS)
def test_tasks_travel_to_other_processes_and_into_files(name):
    made = experiment(name, DRIVERS[Gradient])
    made.task.references()  # what is remembered of a task travels with it
    assert pickle.loads(pickle.dumps(made)) == made == build(dump(made))


@pytest.mark.parametrize("task", TASKS)
def test_first_weights_are_scored(task):
    driver = driver_of(experiment(task, DRIVERS[Gradient]))
    found = evaluate(driver.experiment, driver.centre(driver.init()))
    least, most = driver.experiment.task.measure.bounds
    for estimate in found.single:
        assert least <= estimate.low <= estimate.value <= estimate.high <= most
    assert json.loads(json.dumps(summary_of(found), allow_nan=False))["references"]
