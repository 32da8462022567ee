"""The gradient against finite differences of evolution's own losses, and its steps against a plain optax loop."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from es_randomized import Evolution, Experiment, Gradient, RunFolder, driver_of, local_evaluator, rng, train
from es_randomized.cases import pair
from es_randomized.config.sections import Batch, Budget, Plan
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.errors import MemoryBudgetError, NonFiniteLossError
from es_randomized.fitness import Members, unraveller
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.q_norm import QNorm
from es_randomized.runs.restore import restore
from es_randomized.schedules import Schedule
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring

EXPERIMENT = Experiment(
    task=CycleColouring(n=5),
    model=Transformer(width=4, blocks=1, hidden=4, activation="gelu"),
    objective=QNorm(q=Schedule(start=2.0, end=5.0)),
    batch=Batch(instances=6, seeds=4),
    driver=GradientSettings(),
    budget=Budget(generations=10),
    plan=Plan(tile=12, chunk=256),
    seed=9,
)
ADAM = Optimizer(
    learning_rate=Schedule(start=0.03, end=0.003),
    warmup=3,
    momentum=0.8,
    second_moment=0.95,
    epsilon=1e-5,
    weight_decay=0.02,
    clip_norm=0.5,
)


@pytest.fixture(scope="module")
def driver():
    return Gradient.of(replace(EXPERIMENT, driver=GradientSettings(optimizer=ADAM)))


@pytest.mark.parametrize(
    "task", [EXPERIMENT.task, AssociativeRecall(n=3, bits=2, noise_width=2)], ids=lambda task: type(task).__name__
)
def test_the_gradient_is_the_slope_of_the_losses_evolution_sees(task):
    driver = Gradient.of(replace(EXPERIMENT, task=task, plan=Plan(tile=4)))  # several tiles, also of bundles
    weights, inputs, reach = np.asarray(driver.init().weights), driver.fitness.inputs(3), np.float32(3e-3)
    directions = np.random.default_rng(0).normal(size=(8, driver.parameters)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    members = np.concatenate([weights + reach * directions, weights - reach * directions, weights[None]])
    rows = jnp.arange(len(members))

    def losses_of(all_, inputs):
        unravel = driver.fitness.unravel
        made = Members(lambda row: all_[row], lambda flat, sign: unravel(flat), np.ones(1, np.float32))
        return driver.fitness(rows, made, inputs)

    losses = np.asarray(jax.jit(losses_of)(members, inputs))[:, 0]
    loss, gradient = jax.device_get(jax.jit(driver.gradient)(weights, inputs))
    assert float(loss) == pytest.approx(float(losses[16]), rel=1e-6)
    assert np.linalg.norm(gradient) > 0.1
    np.testing.assert_allclose(directions @ gradient, (losses[:8] - losses[8:16]) / (2 * reach), rtol=0.01, atol=1e-3)


def plain_losses(weights, generation):
    """Losses [instance, seed] of the whole batch at once, without Fitness."""
    task, model, batch = EXPERIMENT.task, EXPERIMENT.model, EXPERIMENT.batch
    instances = task.sample(rng.address(9, rng.Purpose.INSTANCES, generation), batch.instances)
    seeds = task.seeds(rng.address(9, rng.Purpose.SEEDS, generation), batch.seeds)
    policy = model.policy(unraveller(model, task)(weights), task.interface)
    return task.rollout(policy, task.observe(*pair(instances, seeds))).loss[0].reshape(6, 4)


def test_ten_steps_are_those_of_a_plain_optax_loop(driver):
    cosine = optax.cosine_decay_schedule(0.03, 9, alpha=0.1)
    optimizer = optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.adamw(
            lambda count: cosine(count) * jnp.minimum(count / 3, 1), b1=0.8, b2=0.95, eps=1e-5, weight_decay=0.02
        ),
    )

    @jax.jit
    def step(weights, memory, generation):
        q = 2.0 + 3.0 * (1 - jnp.cos(jnp.pi * generation.astype(jnp.float32) / 9)) / 2

        def loss(weights):
            return jnp.mean(jnp.mean(plain_losses(weights, generation), axis=1) ** q) ** (1 / q)

        value, slope = jax.value_and_grad(loss)(weights)
        with jax.numpy_dtype_promotion("standard"):
            updates, memory = optimizer.update(slope, memory, weights)
        return value, optax.apply_updates(weights, updates), memory

    weights = driver.init().weights
    memory = optimizer.init(weights)
    for found in train(driver, local_evaluator(driver), driver.init()):
        value, weights, memory = step(weights, memory, np.uint32(found.generation))
        assert found.losses.shape == (1,)
        np.testing.assert_allclose(found.losses[0], value, rtol=1e-4)
        np.testing.assert_allclose(found.state.weights, weights, rtol=1e-3, atol=1e-5)
    assert np.abs(weights - driver.init().weights).max() > 0.05


def test_one_program_serves_every_generation(driver):
    state = driver.init()
    for generation in range(3):
        state = driver.step(state, generation, local_evaluator(driver))[1]
    assert driver.program._cache_size() == 1


def test_both_drivers_start_from_the_same_weights(driver):
    evolution = driver_of(replace(EXPERIMENT, driver=Open_ES.Settings()))
    assert isinstance(evolution, Evolution)
    np.testing.assert_array_equal(evolution.centre(evolution.init()), driver.centre(driver.init()))
    assert evolution.parameters == driver.parameters


def test_a_run_is_restored_exactly_from_its_journal_with_or_without_a_snapshot(driver, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(driver.experiment)
    journal = folder.open_journal(driver.losses_per_generation)
    for step in train(driver, local_evaluator(driver), driver.init()):
        journal.append(step.generation, step.losses)
        if step.generation == 4:
            folder.save_snapshot(5, step.state)
    journal.close()
    from_snapshot = restore(folder, driver)
    next(folder.snapshots.iterdir()).unlink()
    for generation, state in (from_snapshot, restore(folder, driver)):
        assert generation == 10
        for restored, uninterrupted in zip(jax.tree.leaves(state), jax.tree.leaves(step.state), strict=True):
            np.testing.assert_array_equal(restored, uninterrupted)


def test_what_is_not_finite_stops_with_its_address_and_leaves_the_state(driver):
    start = driver.init()
    broken = start._replace(weights=start.weights.at[0].set(jnp.nan))
    with pytest.raises(
        NonFiniteLossError, match=r"the loss of generation 7 is nan and .* gradient nan \(seed 9\); lower"
    ):
        driver.step(broken, 7, local_evaluator(driver))
    with pytest.raises(NonFiniteLossError, match="generation 7"):
        driver.replay(broken, 7, np.zeros(1, np.float32))


@pytest.fixture
def memory_of_tiles(monkeypatch):
    """A step that needs a MiB and another for every case of its tile."""
    monkeypatch.setattr(Gradient, "_bytes", lambda self: (1 + self.fitness.tile) * 2**20)


@pytest.mark.usefixtures("memory_of_tiles")
@pytest.mark.parametrize(("memory", "tile"), [(2048, 120), (121, 120), (120, 60), (60, 30), (20, 15), (8, 6), (2, 1)])
def test_the_tile_shrinks_until_a_step_fits(memory, tile):
    batch = Batch(instances=30, seeds=4)
    made = Gradient.of(replace(EXPERIMENT, batch=batch, plan=Plan(memory_mib=memory)))
    assert made.experiment.plan == Plan(memory_mib=memory, tile=tile)
    assert made.fitness.tile == tile


@pytest.mark.usefixtures("memory_of_tiles")
def test_a_step_that_never_fits_is_refused_with_what_it_needs():
    with pytest.raises(
        MemoryBudgetError, match=r"a gradient step needs 2.0 MiB, but plan.memory_mib is 1; raise it to 2"
    ):
        Gradient.of(replace(EXPERIMENT, plan=Plan(memory_mib=1)))


def test_a_derivative_keeps_what_a_policy_sees_and_nothing_it_computes(driver):
    def derivative(weights):
        return jax.vjp(lambda weights: driver.fitness.losses(weights, jnp.uint32(3)), weights)[1]

    kept = jax.tree.leaves(jax.eval_shape(derivative, driver.init().weights))
    seen = jax.tree.leaves(jax.eval_shape(driver.fitness.observations, np.uint32(3)))
    assert 0 < sum(x.size for x in kept) <= sum(x.size for x in seen) + 2 * driver.parameters
