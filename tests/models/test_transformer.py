"""The transformer against a float64 twin that walks node by node with an explicit softmax over two neighbours."""

import math
from functools import cache

import jax
import numpy as np
import pytest

from es_randomized.models.transformer import EPSILON, Transformer
from es_randomized.policy import Interface

INTERFACE = Interface(features=6, outputs=3, nodes=5, pattern="ring")
SHAPES = [
    {"heads": heads, "key": key, "activation": activation}
    for heads in (1, 2)
    for key in (None, 4)
    for activation in ("relu", "gelu")
]


def small(**settings):
    return Transformer(width=8, blocks=2, hidden=12, **settings)


def weights_and_tokens(model, cases=4, interface=INTERFACE):
    """Random weights, biases included, and random tokens."""
    generator = np.random.default_rng(8)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), interface))

    def normal(shape):
        return generator.normal(scale=0.6 if len(shape) == 1 else shape[-1] ** -0.5, size=shape).astype(np.float32)

    tokens = normal((interface.features, interface.nodes, cases)) * cases**0.5
    return jax.tree.map(lambda leaf: normal(leaf.shape), shapes), tokens


@cache
def compiled(model, interface):
    return jax.jit(lambda weights, tokens: model.policy(weights, interface)(tokens))


def policy_of(model, weights, interface=INTERFACE):
    """The policy as a function of NumPy tokens."""
    return lambda tokens: np.asarray(compiled(model, interface)(weights, tokens))


def init(model, interface):
    return jax.device_get(jax.jit(lambda key: model.init(key, interface))(jax.random.key(11)))


# The twin: lists of vectors, one per node


def norm(vector):
    centred = vector - vector.mean()
    return centred / math.sqrt((centred**2).mean() + EPSILON)


def relu(x):
    return np.where(x > 0, x, 0)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def twin_scores(block, head, own, other, key):
    if key is None:
        return other @ block["score"][head] @ own, block["message"][head] @ other
    query, lookup = block["query"][head] @ own, block["key"][head] @ other
    return query @ lookup / math.sqrt(key), block["output"][head] @ (block["value"][head] @ other)


def twin_attention(block, nodes, key, heads):
    updates = []
    for i, own in enumerate(nodes):
        neighbours = [nodes[i - 1], nodes[(i + 1) % len(nodes)]]
        total = np.zeros_like(own)
        for head in range(heads):
            scored = [twin_scores(block, head, own, other, key) for other in neighbours]
            powers = [math.exp(score - max(s for s, _ in scored)) for score, _ in scored]
            total += sum(p / sum(powers) * message for p, (_, message) in zip(powers, scored, strict=True))
        updates.append(total)
    return updates


def twin(model, weights, tokens):
    """Outputs [output, node] of one case, tokens [feature, node]."""
    weights = jax.tree.map(lambda x: np.asarray(x, np.float64), weights)
    activate = {"relu": relu, "gelu": gelu}[model.activation]
    nodes = [weights["embed"] @ token for token in np.asarray(tokens, np.float64).T]
    for block in weights["blocks"]:
        updates = twin_attention(block, [norm(node) for node in nodes], model.key, model.heads)
        nodes = [node + update for node, update in zip(nodes, updates, strict=True)]
        hidden = [activate(block["up"] @ norm(node) + block["up_bias"]) for node in nodes]
        nodes = [node + block["down"] @ h + block["down_bias"] for node, h in zip(nodes, hidden, strict=True)]
    return np.array([weights["readout"] @ norm(node) + weights["readout_bias"] for node in nodes]).T


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_policy_equals_the_twin(shape):
    model = small(**shape)
    weights, tokens = weights_and_tokens(model)
    outputs = policy_of(model, weights)(tokens)
    expected = np.stack([twin(model, weights, tokens[..., case]) for case in range(4)], axis=-1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES[1::3], ids=str)
def test_a_batch_equals_one_case_at_a_time(shape):
    model = small(**shape)
    weights, tokens = weights_and_tokens(model)
    policy = policy_of(model, weights)
    one_by_one = [policy(tokens[..., case : case + 1]) for case in range(4)]
    np.testing.assert_allclose(policy(tokens), np.concatenate(one_by_one, axis=-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES[1::3], ids=str)
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
    interface = INTERFACE._replace(nodes=12)
    model = Transformer(width=8, blocks=blocks, hidden=8)
    weights, tokens = weights_and_tokens(model, 1, interface)
    policy = policy_of(model, weights, interface)
    touched = tokens.copy()
    touched[:, 6] += 1
    changed = policy(touched) - policy(tokens)
    assert set(np.flatnonzero(np.abs(changed).max(axis=(0, 2))).tolist()) == reached


# Initial weights: the variance times the fan-in is 1, or 1/(4 layers) before a skip connection


def fan_in_variances(weights, fan_in):
    return {name: float(np.var(matrix)) * fan_in[name] for name, matrix in weights.items() if name in fan_in}


def test_initial_variances_follow_the_fan_in():
    blocks, heads = 2, 3
    model = Transformer(width=60, blocks=blocks, heads=heads, key=20, hidden=80)
    weights = init(model, Interface(features=50, outputs=40, nodes=5, pattern="ring"))
    outer = fan_in_variances(weights, {"embed": 50, "readout": 60})
    assert outer == pytest.approx({"embed": 1, "readout": 1}, rel=0.1)
    skip = 1 / (4 * 2 * blocks)
    fan_in = {"query": 60, "key": 60, "value": 60, "output": heads * 20, "up": 60, "down": 80}
    expected = {"query": 1, "key": 1, "value": 1, "output": skip, "up": 1, "down": skip}
    for block in weights["blocks"]:
        assert fan_in_variances(block, fan_in) == pytest.approx(expected, rel=0.12)


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
    weights = init(model, Interface(features=6, outputs=6, nodes=5, pattern="ring"))
    matrices = np.array([leaf.ravel() for leaf in jax.tree.leaves(weights) if leaf.size == 36])
    assert len(matrices) == 2 + 2 * 6
    assert np.abs(np.triu(np.corrcoef(matrices), 1)).max() < 0.75
