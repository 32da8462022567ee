"""Gated linear units as linear attention, and how long they remember at first."""

import jax
import numpy as np

from es_randomized.connectivity import Causal
from es_randomized.models.gated_rnn import GatedRNN
from es_randomized.models.linear_attention import LinearAttention
from es_randomized.models.rg_lru import RGLRU
from es_randomized.policy import Interface
from tests.tools import transformer_twin as twin

KEY = 3
INTERFACE = Interface(features=4, outputs=2, nodes=6, connectivity=Causal())


def as_gated_units(block):
    """Zucchet et al.'s construction: units that keep every product of a value and a key, and units that carry the query.

    The latter keep nothing, and their input gate is the constant 1; gates multiply a product's unit by its query's, and the
    read-out adds up those of a value.
    """
    value, key, query = (block[name] for name in ("value", "key", "query"))
    every, one = np.arange(KEY * KEY), np.eye(KEY, dtype=np.float32)
    products, carriers = np.eye(KEY * KEY + KEY, dtype=np.float32)[: KEY * KEY], every % KEY + KEY * KEY
    return {
        "enter": np.concatenate([value[every // KEY], query * KEY**-0.5]),
        "enter_gate": np.concatenate([key[every % KEY], np.zeros_like(query)]),
        "enter_bias": np.repeat(np.float32([0, 1]), [KEY * KEY, KEY]),
        "keep": np.repeat(np.float32([60, -110]), [KEY * KEY, KEY]),  # sigmoids of 1 and 0 in float32
        "leave": products,
        "leave_gate": np.eye(KEY * KEY + KEY, dtype=np.float32)[carriers],
        "output": block["output"] @ np.repeat(one, KEY, axis=1),
    }


def test_gated_units_can_be_linear_attention():
    linear = LinearAttention(width=6, blocks=1, key=KEY, hidden=8)
    gated = GatedRNN(width=6, blocks=1, units=KEY * KEY + KEY, gates=KEY * KEY, hidden=8)
    weights = twin.random_weights(linear, INTERFACE, 0)
    shared = {name: weights["blocks"][0][name] for name in ("up", "up_bias", "down", "down_bias")}
    constructed = weights | {"blocks": [as_gated_units(weights["blocks"][0]) | shared]}
    shapes = gated.shapes(INTERFACE)
    assert jax.tree.map(lambda leaf: leaf.shape, shapes) == jax.tree.map(lambda leaf: leaf.shape, constructed)
    tokens = np.random.default_rng(1).normal(size=(4, 6, 3)).astype(np.float32)
    found, expected = (
        jax.jit(lambda weights, tokens, model=model: model.policy(weights, INTERFACE)(tokens))(given, tokens)
        for model, given in ((gated, constructed), (linear, weights))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_fresh_units_remember_from_a_few_tokens_to_a_thousand():
    kept = 1 / (1 + np.exp(-np.asarray(GatedRNN(units=5).recurrence.vectors()["keep"], float)))
    np.testing.assert_allclose(kept[[0, -1]], [0.5, 0.999], rtol=1e-5)
    assert (np.diff(kept) > 0).all()
    kept = np.exp(-8 * np.log1p(np.exp(np.asarray(RGLRU(units=5).recurrence.vectors()["keep"], float))))
    np.testing.assert_allclose(kept[[0, -1]], [0.9, 0.999], rtol=1e-4)
    assert (np.diff(kept) > 0).all()
