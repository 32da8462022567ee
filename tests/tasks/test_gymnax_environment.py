"""Environments of gymnax against plain loops over the library itself, and against the cart and pole in NumPy."""

import math
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import driver_of, local_evaluator, rng, train
from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.tasks.gymnax_environment import EnvironmentCases, GymnaxEnvironment
from es_randomized.tasks.task import Bounds
from tests.tools.function_policy import FunctionPolicy

CASES = 6
DRAWS = jnp.arange(CASES, dtype=jnp.int32) + 7
SEEDS = np.random.default_rng(1).normal(size=(2, CASES)).astype(np.float32)
READ = np.random.default_rng(2).normal(size=(3, 8)).astype(np.float32)


@pytest.fixture
def gymnax():
    """The library, which counts on JAX to promote types and ranks, as users' JAX does."""
    library = pytest.importorskip("gymnax")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield library


def linear(outputs):
    """Outputs are products of seed and observation."""
    return FunctionPolicy(lambda tokens: jnp.einsum("of,fnc->onc", READ[:outputs, : len(tokens)], tokens))


def played(task, outputs):
    program = jax.jit(lambda seeds: task.rollout(linear(outputs), EnvironmentCases(DRAWS, seeds)))
    return jax.tree.map(np.asarray, program(jnp.asarray(SEEDS)))


def by_hand(gymnax, name, steps, case, action_of):
    """The return of one case by the library's own calls, and its actions."""
    made, parameters = gymnax.make(name)
    key, total, actions = jax.random.key(DRAWS[case]), 0.0, []
    observed, state = made.reset_env(rng.inside(key, 0), parameters)
    for time in range(steps):
        token = np.concatenate([SEEDS[:, case], np.asarray(observed)])
        actions.append(action_of(READ[:, : len(token)] @ token))
        observed, state, reward, done, _ = made.step_env(rng.inside(key, time + 1), state, actions[-1], parameters)
        total += float(reward)
        if done or bool(made.is_truncated(state, parameters)):
            break
    return total, actions


def cart_and_pole(start, action_of, steps):
    """Barto, Sutton & Anderson 1983 as Gym has it, in double precision: how many steps the pole stands."""
    x, v, angle, turning = map(float, start)
    for step in range(steps):
        force = 10.0 if action_of(np.array([x, v, angle, turning])) else -10.0
        push = (force + 0.05 * turning**2 * math.sin(angle)) / 1.1
        speed_up = (9.8 * math.sin(angle) - math.cos(angle) * push) / (0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1))
        moved = push - 0.05 * speed_up * math.cos(angle) / 1.1
        x, v, angle, turning = x + 0.02 * v, v + 0.02 * moved, angle + 0.02 * turning, turning + 0.02 * speed_up
        if abs(x) > 2.4 or abs(angle) > 12 * 2 * math.pi / 360:
            return step + 1
    return steps


def test_the_pole_falls_when_it_does_in_numpy(gymnax):
    task = GymnaxEnvironment(steps=60, noise_width=2, returns=[0, 500], solved=15)
    outcome, made = played(task, 2), gymnax.make("CartPole-v1")[0]
    expected = []
    for case in range(CASES):
        start, _ = made.reset_env(rng.inside(jax.random.key(DRAWS[case]), 0), None)

        def action_of(observed, case=case):
            outputs = READ[:2, :6] @ np.concatenate([SEEDS[:, case], observed])
            return int(outputs[1] > outputs[0])

        expected.append(cart_and_pole(np.asarray(start), action_of, 60))
    assert len(set(expected)) > 2
    np.testing.assert_array_equal(-outcome.loss[0], expected)
    np.testing.assert_array_equal(outcome.success[0], np.array(expected) >= 15)
    assert task.loss_bounds == Bounds(-500, 0)
    assert (task.measure.values(outcome) == -outcome.loss).all()
    assert GymnaxEnvironment().interface.horizon == 500


@pytest.mark.parametrize(
    ("name", "steps", "action_of"),
    [
        ("Pendulum-v1", 12, lambda outputs: np.float32([2 * math.tanh(outputs[0])])),
        ("Acrobot-v1", 12, lambda outputs: int(np.argmax(outputs))),
    ],
)
def test_returns_are_those_of_the_library_itself(gymnax, name, steps, action_of):
    task = GymnaxEnvironment(environment=name, steps=steps, noise_width=2)
    outcome = played(task, task.interface.outputs)
    expected = [by_hand(gymnax, name, steps, case, action_of) for case in range(CASES)]
    np.testing.assert_allclose(-outcome.loss[0], [total for total, _ in expected], rtol=1e-4)
    paths = [tuple(np.ravel(actions).tolist()) for _, actions in expected]
    assert len(set(outcome.answer[0].tolist())) == len(set(paths))


def page():
    """The experiment that docs/tasks.md shows."""
    text = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    (found,) = re.findall(r"```yaml\n(task: \{kind: gymnax_environment.*?)```", text, re.DOTALL)
    return found


def test_the_experiment_on_the_page_trains():
    pytest.importorskip("gymnax")
    made = parse(page().replace("generations: 100", "generations: 2").replace("population: 64", "population: 4"))
    driver = driver_of(made)
    *_, last = train(driver, local_evaluator(driver), driver.init())
    assert ((last.losses <= 0) & (last.losses >= -500)).all()
    with pytest.raises(ConfigError, match=r"driver.kind: gradient descent cannot train GymnaxEnvironment"):
        driver_of(parse("task: {kind: gymnax_environment}\ndriver: {kind: gradient}\nobjective: {kind: expected}"))


def test_what_is_missing_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(ConfigError, match=r"task.kind gymnax_environment needs gymnax: pip install gymnax"):
        parse("task: {kind: gymnax_environment}")


def test_an_environment_that_is_not_known_is_refused(gymnax):
    with pytest.raises(ConfigError, match=r"task.environment: gymnax has no 'CartPole'; did you mean CartPole-v1"):
        parse("task: {kind: gymnax_environment, environment: CartPole}")
