"""What one matrix can remember, what its kinds have in common with each other and with linear attention, and what they refuse."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Experiment
from es_randomized.connectivity import Ring, Store
from es_randomized.errors import ConfigError
from es_randomized.models.delta import Delta
from es_randomized.models.gated_linear import GatedLinear
from es_randomized.models.layers.matrix_memory import Token, written
from es_randomized.models.linear_attention import LinearAttention
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from es_randomized.tasks.cycle_colouring import CycleColouring
from tests.tools import transformer_twin as twin

SIZE, WRITES, CASES = 4, 9, 3
STORE = Interface(features=5, outputs=2, nodes=7, connectivity=Store(4))
RING = Interface(features=5, outputs=2, nodes=5, connectivity=Ring())
LINEAR = LinearAttention(width=6, blocks=2, heads=2, key=3, hidden=8)


def orthonormal_keys(seed):
    """SIZE orthonormal keys, used one after the other and then again: [write, head, key, case]."""
    square = np.linalg.qr(np.random.default_rng(seed).normal(size=(SIZE, SIZE)))[0]
    keys = square[np.arange(WRITES) % SIZE].astype(np.float32)
    return np.broadcast_to(keys[:, None, :, None], (WRITES, 1, SIZE, CASES))


@jax.jit
def reads(keys, values, rate):
    """What every key reads right after its own write, and what the last of each reads at the end."""

    def write(total, given):
        key, value = given
        y, total = written(total, Token(key, key, value, rate, None))
        return total, y

    total, at_once = jax.lax.scan(write, jnp.zeros((1, SIZE, SIZE, CASES)), (keys, values))
    return at_once, jnp.einsum("hvkc,whkc->whvc", total, keys[-SIZE:])


def test_the_delta_rule_reads_back_what_was_written_last_under_a_key_and_adding_does_not():
    keys, values = (
        orthonormal_keys(0),
        np.random.default_rng(1).normal(size=(WRITES, 1, SIZE, CASES)).astype(np.float32),
    )
    for found, expected in zip(reads(keys, values, jnp.ones((1, 1, CASES))), (values, values[-SIZE:]), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    at_once, at_the_end = reads(keys, values, None)
    np.testing.assert_allclose(at_once[:SIZE], values[:SIZE], atol=1e-5)  # as many as there are keys are kept
    of_key = np.arange(WRITES) % SIZE
    summed = np.stack([values[of_key == key].sum(axis=0) for key in of_key[-SIZE:]])
    np.testing.assert_allclose(at_the_end, summed, atol=1e-5)


def outputs(model, weights, tokens, interface):
    return np.asarray(jax.jit(lambda weights, tokens: model.policy(weights, interface)(tokens))(weights, tokens))


def tokens_of(interface):
    return np.random.default_rng(5).normal(size=(interface.features, interface.nodes, CASES)).astype(np.float32)


@pytest.mark.parametrize("interface", [STORE, RING], ids=["store", "ring"])
def test_linear_attention_is_a_transformer_without_softmax(interface):
    weights = twin.random_weights(LINEAR, interface, 3)
    transformer = Transformer(width=6, blocks=2, heads=2, key=3, hidden=8, attention="linear")
    of_heads = {name: lambda x: x.reshape(2, 3, 6) for name in ("query", "key", "value")}
    of_heads["output"] = lambda x: x.reshape(6, 2, 3).transpose(1, 0, 2)
    blocks = [block | {name: change(block[name]) for name, change in of_heads.items()} for block in weights["blocks"]]
    expected = outputs(transformer, weights | {"blocks": blocks}, tokens_of(interface), interface)
    np.testing.assert_allclose(
        outputs(LINEAR, weights, tokens_of(interface), interface),
        expected,
        rtol=1e-4,
        atol=1e-4 * np.abs(expected).max(),
    )


def test_on_a_cycle_reads_are_means_of_both_neighbours_values():
    model = replace(LINEAR, features="elu", hidden=None, blocks=1)
    weights, tokens = twin.random_weights(model, RING, 3), tokens_of(RING)
    exact = twin.doubled(weights)
    block, phi = exact["blocks"][0], lambda x: np.where(x > 0, x + 1, np.exp(x))
    expected = []
    for case in range(CASES):
        nodes = [exact["embed"] @ token for token in tokens[..., case].T]
        normed = [twin.norm(model, node) for node in nodes]
        for own, node in enumerate(nodes):
            y, around = [], [normed[own - 1], normed[(own + 1) % len(nodes)]]
            for head in (slice(0, 3), slice(3, 6)):
                query = phi(block["query"][head] @ normed[own])
                shares = np.array([phi(block["key"][head] @ other) @ query for other in around])
                values = np.array([block["value"][head] @ other for other in around])
                y.append(shares / shares.sum() @ values)
            after = twin.norm(model, node + block["output"] @ np.concatenate(y))
            expected.append(exact["readout"] @ after + exact["readout_bias"])
    found = outputs(model, weights, tokens, RING)
    np.testing.assert_allclose(found, np.reshape(expected, (CASES, 5, 2)).transpose(2, 1, 0), rtol=1e-4, atol=1e-4)
    assert model.receptive_field(RING) == 1
    assert model.memory(RING) == 0


def test_without_decay_gated_attention_is_linear():
    gated = GatedLinear(width=6, blocks=2, heads=2, key=3, hidden=8, decay="constant")
    weights = twin.random_weights(LINEAR, STORE, 3)
    forever = [block | {"decay_bias": np.full(2, 40, np.float32)} for block in weights["blocks"]]
    found = outputs(gated, weights | {"blocks": forever}, tokens_of(STORE), STORE)
    expected = outputs(LINEAR, weights, tokens_of(STORE), STORE)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_fresh_decay_is_that_of_retention():
    weights = GatedLinear(width=6, blocks=1, heads=3, key=2, hidden=8, decay="key").init(jax.random.key(0), STORE)
    kept = 1 / (1 + np.exp(-np.asarray(weights["blocks"][0]["decay_bias"], float)))
    np.testing.assert_allclose(kept, np.repeat(1 - 2.0 ** -np.arange(5, 8), 2), rtol=1e-6)


@pytest.mark.parametrize("model", [Delta(), GatedLinear()], ids=lambda model: type(model).__name__)
def test_what_needs_an_order_refuses_cycles(model):
    message = (
        f"{type(model).__name__} reads tokens in an order, and on a cycle there is none; linear_attention, transformer"
    )
    with pytest.raises(ConfigError, match=message):
        Experiment(task=CycleColouring(n=5), model=model)


@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        (LinearAttention(heads=2, key=3), 2 * 2 * 9),
        (LinearAttention(heads=2, key=3, features="elu"), 2 * 2 * (9 + 3)),
        (Delta(blocks=1, key=3, features="dpfp", shifts=2), 3 * 12),
        (Transformer(blocks=1, heads=2, key=3), 2 * 2 * 3 * 5 + 5),  # keys, values, and which of five slots count
    ],
)
def test_a_memory_has_as_many_numbers_as_the_formula_says(model, numbers):
    assert model.memory(STORE) == numbers
