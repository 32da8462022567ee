"""Windows of attention: near nodes of a cycle, all of them, and the last tokens of a sequence, against the slow twin."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Experiment
from es_randomized.connectivity import Causal, Ring, Store
from es_randomized.errors import ConfigError
from es_randomized.evaluation.evaluate import runner_of
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import repeated_runs
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.fitness import parameters
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from es_randomized.tasks.cycle_colouring import CycleColouring
from tests.tools import transformer_twin as twin

CASES = 3
SMALL = Transformer(width=6, blocks=2, hidden=8)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def ring(nodes):
    return Interface(features=4, outputs=2, nodes=nodes, connectivity=Ring())


def given(model, interface):
    tokens = np.random.default_rng(5).normal(size=(interface.features, interface.nodes, CASES)).astype(np.float32)
    return jax.tree.map(jnp.asarray, twin.random_weights(model, interface, 1)), jnp.asarray(tokens)


def by_twin(model, weights, tokens, sees):
    exact = twin.doubled(weights)
    return np.stack([twin.outputs(model, exact, tokens[..., case], sees) for case in range(CASES)], axis=-1)


def near(reach):
    return lambda node, count: [other for other in range(count) if twin.steps(node, other, count) <= reach]


def last(window):
    return lambda node, count: range(max(0, node - window), node + 1)


@pytest.mark.parametrize(
    ("nodes", "reach", "settings"),
    [
        (7, 2, {"window": 2, "heads": 2}),
        (7, 3, {"window": "all", "key": 3}),
        (6, 3, {"window": "all", "attention": "linear"}),
    ],
)
def test_nodes_attend_to_all_that_are_near_enough_by_their_distance(nodes, reach, settings):
    model, interface = replace(SMALL, **settings), ring(nodes)
    weights, tokens = given(model, interface)
    assert weights["blocks"][0]["distance"].shape == (model.heads * (reach + 1),)
    found = jax.jit(lambda tokens: model.policy(weights, interface)(tokens))(tokens)
    np.testing.assert_allclose(found, by_twin(model, weights, tokens, near(reach)), **CLOSE)


def test_windows_of_cycles_are_as_wide_as_attention_reaches():
    task, model = CycleColouring(n=10), replace(SMALL, window=2)
    assert (model.receptive_field(task.interface), replace(model, window="all").receptive_field(task.interface)) == (
        4,
        None,
    )
    experiment = Experiment(task=task, model=model)
    assert runner_of(experiment) is WindowOutcomes
    weights = np.random.default_rng(2).normal(scale=0.6, size=(1, parameters(model, task))).astype(np.float32)
    weights[:, -3:] = 0  # no colour is preferred
    runs, cycles = repeated_runs(experiment, jnp.asarray(weights), "seed", 20), task.enumerate()[:, :40]
    found, expected = (runner(task, model)(runs, cycles) for runner in (WindowOutcomes, Outcomes))
    assert len(np.unique(expected.answer)) > 8
    np.testing.assert_array_equal(found.answer, expected.answer)


def test_a_sequence_and_readers_of_a_store_see_the_last_tokens():
    model = replace(SMALL, window=2, heads=2, key=3)
    causal = Interface(features=4, outputs=2, nodes=7, connectivity=Causal(), horizon=7)
    store = replace(causal, connectivity=Store(5), horizon=0)
    weights, tokens = given(model, causal)
    found, readers = jax.jit(
        lambda tokens: (model.policy(weights, causal)(tokens), model.policy(weights, store)(tokens))
    )(tokens)
    np.testing.assert_allclose(found, by_twin(model, weights, tokens, last(2)), **CLOSE)
    for reader in range(2):
        sequence = np.concatenate([tokens[:, :5], tokens[:, 5 + reader :][:, :1]], axis=1)
        np.testing.assert_allclose(readers[:, reader], by_twin(model, weights, sequence, last(2))[:, -1], **CLOSE)
    assert model.memory(store) == 2 * (2 * 2 * 3 * 3 + 1)  # blocks, of keys and values of three tokens and a counter


def test_one_by_one_a_case_forgets_what_came_before_its_own_last_tokens():
    """Cases that sit out a step keep their tokens; children go back to what was remembered."""
    model = replace(SMALL, window=2, key=3)
    interface = Interface(features=4, outputs=2, nodes=6, connectivity=Causal(), horizon=8)
    weights, tokens = given(model, interface)
    active = np.ones((6, CASES), bool)
    active[2:4, 1] = False

    def program(tokens):
        policy = model.policy(weights, interface)

        def step(memory, given):
            token, slot, active = given
            output, memory = policy.step(memory, token, slot, active)
            return memory, (output, policy.trace(memory))

        steps = (jnp.moveaxis(tokens, 1, 0), jnp.arange(6), jnp.asarray(active))
        memory, (outputs, traces) = jax.lax.scan(step, policy.empty(CASES), steps)
        children = policy.branch(memory, traces, jnp.array([2, 5]), jnp.array([1, 0]))
        return outputs, policy.step(children, tokens[:, 3, :2], 6)[0]

    found, more = jax.jit(program)(tokens)
    exact, tokens = twin.doubled(weights), np.asarray(tokens)
    for case in range(CASES):
        own = tokens[:, active[:, case], case]
        np.testing.assert_allclose(
            np.asarray(found)[active[:, case], :, case].T, twin.outputs(model, exact, own, last(2)), **CLOSE
        )
    for child, (slots, parent) in enumerate(((2, 1), (5, 0))):
        own = np.concatenate([tokens[:, :slots, parent], tokens[:, 3:4, child]], axis=1)
        np.testing.assert_allclose(more[:, child], twin.outputs(model, exact, own, last(2))[:, -1], **CLOSE)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(
        ConfigError, match=r"model.window is 3, which goes more than once around a cycle of 6 nodes; use all"
    ):
        replace(SMALL, window=3).check(ring(6))
    with pytest.raises(
        ConfigError, match=r"model.window: linear attention keeps no tokens that it could forget one by one"
    ):
        replace(SMALL, window=3, attention="linear").check(Interface(4, 2, nodes=6, connectivity=Causal()))
