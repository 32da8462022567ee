"""The transformer on a ring against a float64 twin that walks node by node, and its initial weights."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from es_randomized.connectivity import Ring
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from tests.tools import transformer_twin as twin

INTERFACE = Interface(features=6, outputs=3, nodes=5, connectivity=Ring())
SHAPES = [  # every pair of settings; a compiled program takes a second
    {"heads": 1, "key": None, "activation": "gelu"},
    {"heads": 1, "key": 4, "activation": "relu"},
    {"heads": 2, "key": None, "activation": "relu"},
    {"heads": 2, "key": 4, "activation": "gelu"},
    {"heads": 2, "key": None, "attention": "linear", "stem": 7},
    {"heads": 2, "key": 4, "attention": "linear", "stem": 7},
    {"heads": 2, "key": 4, "hidden": None, "stem": 7},
    {"heads": 1, "key": None, "activation": "gelu", "norm": "none"},
    {"heads": 2, "key": 4, "attention": "linear", "hidden": None, "norm": "none", "stem": 7, "activation": "gelu"},
]


def small(**settings):
    return Transformer(**{"width": 8, "blocks": 2, "hidden": 12} | settings)


def weights_and_tokens(model, cases=4, interface=INTERFACE):
    """Random weights, biases included, and random tokens."""
    tokens = np.random.default_rng(9).normal(size=(interface.features, interface.nodes, cases)).astype(np.float32)
    return twin.random_weights(model, interface, 8), tokens


@cache
def compiled(model, interface):
    as_users_run_it = {
        "xla_backend_optimization_level": 3
    }  # the suite's other programs are compiled faster and rougher
    return jax.jit(lambda weights, tokens: model.policy(weights, interface)(tokens), compiler_options=as_users_run_it)


def policy_of(model, weights, interface=INTERFACE):
    """The policy as a function of NumPy tokens."""
    return lambda tokens: np.asarray(compiled(model, interface)(weights, tokens))


def init(model, interface):
    return jax.device_get(jax.jit(lambda key: model.init(key, interface))(jax.random.key(11)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_policy_equals_the_twin(shape):
    model = small(**shape)
    weights, tokens = weights_and_tokens(model)
    outputs = policy_of(model, weights)(tokens)
    exact = twin.doubled(weights)
    expected = np.stack([twin.outputs(model, exact, tokens[..., case], twin.ring) for case in range(4)], axis=-1)
    size = np.abs(expected).max() if model.norm == "none" else 1.0  # cubes of cubes of tokens are large
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("shape", SHAPES[:4:3], ids=str)
def test_a_batch_equals_one_case_at_a_time(shape):
    model = small(**shape)
    weights, tokens = weights_and_tokens(model)
    policy = policy_of(model, weights)
    one_by_one = [policy(tokens[..., case : case + 1]) for case in range(4)]
    np.testing.assert_allclose(policy(tokens), np.concatenate(one_by_one, axis=-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES[:4:3], ids=str)
def test_turning_or_reflecting_the_cycle_does_the_same_to_the_outputs(shape):
    model = small(**shape)
    weights, tokens = weights_and_tokens(model)
    policy = policy_of(model, weights)
    outputs = policy(tokens)
    turned, reflected = policy(np.roll(tokens, 2, axis=1)), policy(tokens[:, ::-1])
    np.testing.assert_allclose(turned, np.roll(outputs, 2, axis=1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(reflected, outputs[:, ::-1], rtol=1e-5, atol=1e-5)
    assert np.abs(outputs - np.roll(outputs, 2, axis=1)).max() > 0.1


@pytest.mark.parametrize(("blocks", "reached"), [(1, {5, 6, 7}), (2, {4, 5, 6, 7, 8})])
def test_a_node_knows_as_many_steps_as_there_are_blocks(blocks, reached):
    interface = replace(INTERFACE, nodes=12)
    model = Transformer(width=8, blocks=blocks, hidden=8)
    weights, tokens = weights_and_tokens(model, 1, interface)
    policy = policy_of(model, weights, interface)
    touched = tokens.copy()
    touched[:, 6] += 1
    changed = policy(touched) - policy(tokens)
    assert set(np.flatnonzero(np.abs(changed).max(axis=(0, 2))).tolist()) == reached
    assert len(reached) == 2 * model.receptive_field(interface) + 1


# Initial weights: the variance times the fan-in is 1, or 1/(4 layers) before a skip connection


def fan_in_variances(weights, fan_in):
    return {name: float(np.var(matrix)) * fan_in[name] for name, matrix in weights.items() if name in fan_in}


def test_initial_variances_follow_the_fan_in():
    blocks, heads = 2, 3
    model = Transformer(width=60, blocks=blocks, heads=heads, key=20, hidden=80)
    weights = init(model, Interface(features=50, outputs=40, nodes=5, connectivity=Ring()))
    outer = fan_in_variances(weights, {"embed": 50, "readout": 60})
    assert outer == pytest.approx({"embed": 1, "readout": 1}, rel=0.1)
    skip = 1 / (4 * 2 * blocks)
    fan_in = {"query": 60, "key": 60, "value": 60, "output": heads * 20, "up": 60, "down": 80}
    expected = {"query": 1, "key": 1, "value": 1, "output": skip, "up": 1, "down": skip}
    for block in weights["blocks"]:
        assert fan_in_variances(block, fan_in) == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize(("stem", "layers"), [(None, 2), (30, 3)])
def test_without_mlps_attention_and_stem_alone_count_as_layers(stem, layers):
    model = Transformer(width=60, blocks=2, heads=3, key=20, hidden=None, norm="none", stem=stem)
    weights = init(model, INTERFACE)
    assert {name for block in weights["blocks"] for name in block} == {"query", "key", "value", "output"}
    blocks = [fan_in_variances(block, {"output": 60})["output"] for block in weights["blocks"]]
    assert blocks == pytest.approx([1 / (4 * layers)] * 2, rel=0.12)
    if stem:
        down = fan_in_variances(weights["stem"], {"down": stem})
        assert down == pytest.approx({"down": 1 / (4 * layers)}, rel=0.12)


@pytest.mark.parametrize("shape", SHAPES[2:], ids=str)
def test_every_matrix_entry_is_used_once_a_token_and_counts_two_operations(shape):
    model = small(**shape)
    entries = sum(leaf.size for leaf in jax.tree.leaves(init(model, INTERFACE)) if leaf.ndim > 1)
    assert model.flops(INTERFACE) == 2 * entries


def test_dropout_without_hidden_units_is_refused():
    model = small(hidden=None)
    with pytest.raises(ConfigError, match="no"):
        model.dropout(init(model, INTERFACE), jax.random.key(0), 0.5)


def test_dropout_of_a_model_without_mlps_drops_units_of_its_stem():
    model = small(hidden=None, stem=40)
    weights = init(model, INTERFACE)
    dropped = model.dropout(weights, jax.random.key(0), 0.5)
    factors = dropped["stem"].pop("down") / weights["stem"].pop("down")
    assert {tuple(set(column)) for column in np.asarray(factors.T).tolist()} == {(0.0,), (2.0,)}
    jax.tree.map(np.testing.assert_array_equal, dropped, weights)


def test_merged_matrices_start_with_the_scale_of_the_product_of_their_factors():
    """The products KQ/sqrt(key) and OV of factors with unit fan-in variance, for unit-variance tokens."""
    width, heads, blocks = 60, 2, 1
    model = Transformer(width=width, blocks=blocks, heads=heads, hidden=8)
    for block in init(model, INTERFACE)["blocks"]:
        assert np.var(block["score"]) * width**2 == pytest.approx(1, rel=0.1)
        assert np.var(block["message"]) * width * heads == pytest.approx(1 / (4 * 2 * blocks), rel=0.1)


def test_initial_weights_are_truncated_and_biases_are_zero():
    weights = init(Transformer(width=64, blocks=1, hidden=64), INTERFACE)
    up = np.asarray(weights["blocks"][0]["up"])
    assert np.abs(up).max() <= 2 / 0.8796 * 64**-0.5
    assert np.abs(up).max() > 1.9 / 0.8796 * 64**-0.5
    biases = [weights["readout_bias"], *(b[name] for b in weights["blocks"] for name in ("up_bias", "down_bias"))]
    assert all(not bias.any() for bias in biases)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {np.dtype("float32")}


def test_no_two_initial_matrices_are_alike():
    model = Transformer(width=6, blocks=2, key=6, hidden=6)
    weights = init(model, Interface(features=6, outputs=6, nodes=5, connectivity=Ring()))
    matrices = np.array([leaf.ravel() for leaf in jax.tree.leaves(weights) if leaf.size == 36])
    assert len(matrices) == 2 + 2 * 6
    assert np.abs(np.triu(np.corrcoef(matrices), 1)).max() < 0.75
