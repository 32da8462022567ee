"""float64 programs: as exact as they say, the same draws as float32 ones, and nothing else of the process notices."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, Experiment, Gradient, LocalEvaluator, dump, evaluate
from es_randomized.compilation import jit
from es_randomized.config.sections import Batch, Evaluation, Plan
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.drivers.local_evaluator import local_evaluator
from es_randomized.evaluation.outcomes import bind
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.q_norm import QNorm
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.treasure_hunt import TreasureHunt
from tests.tools import transformer_twin as twin

pytestmark = pytest.mark.long  # many programs, compiled for a minute
MODEL = Transformer(width=6, blocks=1, hidden=8)
COLOURING = CycleColouring(n=5), MODEL
RECALL = AssociativeRecall(n=3, bits=2, noise_width=2), replace(MODEL, key=3)
HUNT = TreasureHunt(rows=1, columns=3, steps=4), replace(MODEL, key=4)
TASKS = pytest.mark.parametrize(("task", "model"), [COLOURING, HUNT], ids=["colouring", "hunt"])


def experiment(task, model, driver, precision="float64", **plan):
    return Experiment(
        task=task,
        model=replace(model, precision=precision),
        objective=QNorm(q=3.0),
        driver=driver,
        batch=Batch(instances=2 * task.bundle, seeds=2),
        evaluation=Evaluation(seeds=10, votes=[3]),
        plan=Plan(**plan),
    )


def evolution(task, model, precision="float64"):
    return Evolution.of(experiment(task, model, Open_ES.Settings(population=4, std=0.1), precision, chunk=4))


def gradient(task, model, precision="float64"):
    return Gradient.of(experiment(task, model, GradientSettings(), precision, tile=2))


def test_a_policy_is_as_exact_as_its_float64_twin():
    task, model = COLOURING
    weights = twin.random_weights(model, task.interface, 3)
    flat = jax.flatten_util.ravel_pytree(weights)[0]
    tokens = np.random.default_rng(0).normal(size=(task.interface.features, task.interface.nodes, 3)).astype(np.float32)

    def run(precision):
        policy = lambda flat, tokens: bind(task, replace(model, precision=precision), flat)(tokens)  # noqa: E731
        return np.asarray(jit(policy, precision)(flat, tokens))

    exact = [twin.outputs(model, twin.doubled(weights), tokens[..., case], twin.ring) for case in range(3)]
    assert run("float64").dtype == np.float64
    np.testing.assert_allclose(run("float64"), np.stack(exact, axis=-1), rtol=1e-12, atol=1e-13)
    assert np.abs(run("float32") - np.stack(exact, axis=-1)).max() > 1e-8


@pytest.mark.parametrize(("task", "model"), [COLOURING, RECALL])
def test_a_derivative_is_the_difference_quotient_to_seven_digits(task, model):
    driver = gradient(task, model)
    weights, inputs, reach = np.asarray(driver.init().weights), driver.fitness.inputs(1), 2.0**-14

    def objective(flat, inputs):
        now = driver.fitness.at(inputs)
        return now.objective(now.losses(flat, inputs.generation))

    loss, slope = jit(driver.gradient, "float64")(weights, inputs)
    assert loss.dtype == np.float64
    assert slope.dtype == np.float32
    program = jit(objective, "float64")
    for direction in np.random.default_rng(1).choice([-1.0, 1.0], (3, len(weights))).astype(np.float32) * 2.0**-3:
        step = np.float32(reach) * direction
        ends = [np.float64(weights + sign * step) for sign in (1, -1)]
        assert program(np.float32(ends[0]), inputs).dtype == np.float64
        quotient = float(program(np.float32(ends[0]), inputs)) - float(program(np.float32(ends[1]), inputs))
        expected = np.asarray(slope, float) @ (ends[0] - ends[1])  # of the weights as float32 could hold them
        assert quotient == pytest.approx(expected, rel=2e-5, abs=1e-10)


@TASKS
def test_draws_and_states_are_float32_runs_and_losses_nearly(task, model):
    wide, narrow = evolution(task, model), evolution(task, model, "float32")
    seen = [jit(driver.fitness.observations, p)(np.uint32(2)) for driver, p in ((wide, "float64"), (narrow, "float32"))]
    jax.tree.map(lambda one, other: np.testing.assert_array_equal(np.asarray(one), np.asarray(other)), *seen)
    ask = narrow.strategy.ask(narrow.init(), 2)
    losses = [LocalEvaluator(driver).evaluate(ask) for driver in (wide, narrow)]
    assert losses[0].dtype == np.float32
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert jnp.zeros(1).dtype == np.float32, "float64 stays inside"


def test_it_trains_by_gradient_descent_and_is_evaluated():
    task, model = COLOURING
    driver = gradient(task, model)
    state = driver.init()
    losses, after = driver.step(state, 0, local_evaluator(driver))
    assert losses.dtype == np.float32
    assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
    weights, narrow = driver.centre(state), replace(driver.experiment, model=model)
    scores = [evaluate(each, weights) for each in (driver.experiment, narrow)]
    assert scores[0].single.average.value == pytest.approx(scores[1].single.average.value, rel=1e-4)


def test_a_worker_finds_the_same_bits(monkeypatch):
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    driver = evolution(*COLOURING)
    ask = driver.strategy.ask(driver.init(), 1)
    worker = Worker(dump(driver.experiment), None)
    worker.ready()
    (found,) = worker.evaluate(1, driver.strategy.message(ask), [0]).results
    np.testing.assert_array_equal(driver.in_id_order([driver.chunk_of(found)]), LocalEvaluator(driver).evaluate(ask))
