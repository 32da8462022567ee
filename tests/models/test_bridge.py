"""Modules of Flax and Equinox as models: the same numbers as the module by itself, token by token too, and two generations."""

import re
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Experiment, driver_of, local_evaluator, train
from es_randomized.config.sections import Batch, Budget, Plan
from es_randomized.config.yaml import parse
from es_randomized.connectivity import Causal, Store
from es_randomized.models.bridge import EquinoxModel, FlaxModel
from es_randomized.perturbed import Perturbed
from es_randomized.policy import Interface
from es_randomized.settings import settings
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.cycle_colouring import CycleColouring

INTERFACE = Interface(features=4, outputs=2, nodes=5, connectivity=Causal(), horizon=5)
HIDDEN, CASES = 6, 3


def flax_model():
    linen = pytest.importorskip("flax.linen")

    class SumsSoFar(linen.Module):
        """Every output is made of the sum of tokens so far."""

        outputs: int

        @linen.compact
        def __call__(self, tokens):
            hidden = linen.relu(linen.Dense(HIDDEN)(jnp.cumsum(tokens, axis=0)))
            return linen.Dense(self.outputs)(hidden)

    @settings
    class Summing(FlaxModel):
        def module(self, interface):
            return SumsSoFar(interface.outputs)

    return Summing(), lambda weights: [
        weights["params"][f"Dense_{i}"][name] for i in (0, 1) for name in ("kernel", "bias")
    ]


def equinox_model():
    equinox = pytest.importorskip("equinox")

    class SumsSoFar(equinox.Module):
        up: equinox.nn.Linear
        down: equinox.nn.Linear

        def __call__(self, tokens):
            return jax.vmap(lambda x: self.down(jax.nn.relu(self.up(x))))(jnp.cumsum(tokens, axis=0))

    @settings
    class Summing(EquinoxModel):
        def module(self, key, interface):
            up, down = jax.random.split(key)
            return SumsSoFar(
                equinox.nn.Linear(interface.features, HIDDEN, key=up),
                equinox.nn.Linear(HIDDEN, interface.outputs, key=down),
            )

    return Summing(), lambda weights: [weights[0].T, weights[1], weights[2].T, weights[3]]


@pytest.fixture(params=[flax_model, equinox_model])
def model_and_parts(request):
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):  # as users and these libraries have it
        yield request.param()


def expected(parts, tokens):
    """In NumPy, of one case [feature, node]."""
    up, up_bias, down, down_bias = (np.asarray(part, np.float64) for part in parts)
    return (np.maximum(np.cumsum(tokens.T, axis=0) @ up + up_bias, 0) @ down + down_bias).T


def test_outputs_are_the_modules_all_at_once_one_by_one_and_of_children(model_and_parts):
    model, parts_of = model_and_parts
    weights = model.init(jax.random.key(0), INTERFACE)
    tokens = np.random.default_rng(1).normal(size=(4, 5, CASES)).astype(np.float32)
    active = jnp.array([True, False])

    def program(weights, tokens):
        policy = model.policy(weights, INTERFACE)
        memory, outputs = policy.empty(CASES), []
        for slot in range(3):
            output, memory = policy.step(memory, tokens[:, slot], slot)
            outputs.append(output)
        children = policy.branch(memory, policy.trace(memory), jnp.array([1, 2]), jnp.array([2, 0]))
        _, children = policy.step(children, tokens[:, 3, :2], 3, active)
        more, _ = policy.step(children, tokens[:, 4, :2], 4)
        stored = model.policy(weights, replace(INTERFACE, connectivity=Store(3)))(tokens)
        return policy(tokens), jnp.stack(outputs, 1), more, stored

    at_once, one_by_one, more, stored = map(np.asarray, jax.jit(program)(weights, tokens))
    parts = parts_of(weights)
    alone = np.stack([expected(parts, tokens[..., case]) for case in range(CASES)], axis=-1)
    np.testing.assert_allclose(at_once, alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one_by_one, alone[:, :3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored, alone[:, 3:], rtol=1e-4, atol=1e-5)
    for child, (shared, own) in enumerate(((tokens[:, :1, 2], [3, 4]), (tokens[:, :2, 0], [4]))):
        sequence = np.concatenate([shared, tokens[:, own, child]], axis=1)
        np.testing.assert_allclose(more[:, child], expected(parts, sequence)[:, -1], rtol=1e-4, atol=1e-5)


def test_low_rank_members_have_the_outputs_of_their_matrices_put_together(model_and_parts):
    model, parts_of = model_and_parts
    draw = np.random.default_rng(1).normal
    weights = jax.device_get(model.init(jax.random.key(0), INTERFACE))

    def thin(leaf):
        sides = [draw(size=(side, 1)).astype(np.float32) for side in leaf.shape[-2:]]
        return Perturbed(jnp.asarray(leaf), *map(jnp.asarray, sides)) if leaf.ndim > 1 else leaf

    whole = jax.tree.map(thin, weights)
    is_thin = lambda leaf: isinstance(leaf, Perturbed)  # noqa: E731
    dense = jax.tree.map(lambda x: x.mean + x.left @ x.right.T if is_thin(x) else x, whole, is_leaf=is_thin)
    tokens = draw(size=(4, 5, 1)).astype(np.float32)
    found = model.policy(whole, INTERFACE)(jnp.asarray(tokens))
    np.testing.assert_allclose(found[..., 0], expected(parts_of(dense), tokens[..., 0]), rtol=1e-4, atol=1e-4)


def test_the_network_on_the_page_of_models_is_evolved(tmp_path, monkeypatch):
    pytest.importorskip("flax")
    page = Path(__file__).parents[2] / "docs" / "models.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "my_net.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    model = parse("task: {kind: cycle_colouring, n: 5}\nmodel: {kind: my_net, hidden: 4}").model
    experiment = Experiment(
        task=CycleColouring(n=5),
        model=model,
        driver=Open_ES.Settings(population=4, std=0.1),
        batch=Batch(instances=4, seeds=2),
        budget=Budget(generations=2),
        plan=Plan(chunk=4),
    )
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        evolution = driver_of(experiment)
        first = evolution.init()
        *_, last = train(evolution, local_evaluator(evolution), first)
    assert np.isfinite(last.losses).all()
    assert (np.asarray(evolution.centre(last.state)) != np.asarray(evolution.centre(first))).any()
