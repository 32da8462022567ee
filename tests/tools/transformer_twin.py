"""The transformer in float64, one case, node by node: a slow twin of the batched models."""

import math

import jax
import numpy as np

from es_randomized.models.blocks import EPSILON


def ring(node, count):
    return [(node - 1) % count, (node + 1) % count]


def causal(node, count):
    return range(node + 1)


def doubled(weights):
    """The weights in float64."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), weights)


def random_weights(model, interface, seed, scale=1.0):
    """Normal weights of `scale` times the fan-in deviation, biases included, so that no part is silent."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), interface))

    def normal(shape):
        deviation = 0.6 if len(shape) == 1 else scale * shape[-1] ** -0.5
        return generator.normal(scale=deviation, size=shape).astype(np.float32)

    return jax.tree.map(lambda leaf: normal(leaf.shape), shapes)


def outputs(model, weights, tokens, sees):
    """Outputs [output, node] for tokens [feature, node]; `sees(node, count)` are the nodes it attends to."""
    nodes = [embedded(model, weights, token) for token in np.asarray(tokens, np.float64).T]
    return read(model, weights, thought(model, weights, nodes, sees))


def looped(model, weights, tokens, sees, loops):
    """The same with the embedded tokens added before every turn of a loop of all blocks."""
    given = [embedded(model, weights, token) for token in np.asarray(tokens, np.float64).T]
    nodes = [np.zeros(model.width) for _ in given]
    for _ in range(loops):
        nodes = thought(model, weights, [node + own for node, own in zip(nodes, given, strict=True)], sees)
    return read(model, weights, nodes)


def thought(model, weights, nodes, sees):
    for block in weights["blocks"]:
        normed = [norm(model, node) for node in nodes]
        added = [attended(model, block, normed, node, sees(node, len(nodes))) for node in range(len(nodes))]
        nodes = [node + more for node, more in zip(nodes, added, strict=True)]
        nodes = [node + mlp(model, block, node) for node in nodes] if model.hidden else nodes
    return nodes


def read(model, weights, nodes):
    return np.array([weights["readout"] @ norm(model, node) + weights["readout_bias"] for node in nodes]).T


def embedded(model, weights, token):
    node = weights["embed"] @ token
    return node + mlp(model, weights["stem"], node) if model.stem else node


def attended(model, block, nodes, own, others):
    """What attention adds to one node."""
    total = np.zeros_like(nodes[own])
    for head in range(model.heads):
        scores = [score(model, block, head, nodes[own], nodes[other]) for other in others]
        if "distance" in block:
            of_head = np.split(block["distance"], model.heads)[head]
            scores = [
                value + of_head[steps(own, other, len(nodes))] for value, other in zip(scores, others, strict=True)
            ]
        if model.attention == "softmax":
            powers = [math.exp(value - max(scores)) for value in scores]
            scores = [power / sum(powers) for power in powers]
        for weight, other in zip(scores, others, strict=True):
            total += weight * message(model, block, head, nodes[other])
    return total


def steps(own, other, count):
    """How far apart two nodes of a cycle are."""
    return min((own - other) % count, (other - own) % count)


def score(model, block, head, own, other):
    if model.key is None:
        return other @ block["score"][head] @ own
    return (block["query"][head] @ own) @ (block["key"][head] @ other) / math.sqrt(model.key)


def message(model, block, head, other):
    if model.key is None:
        return block["message"][head] @ other
    return block["output"][head] @ (block["value"][head] @ other)


def mlp(model, weights, node):
    hidden = weights["up"] @ norm(model, node) + weights["up_bias"]
    return weights["down"] @ {"relu": relu, "gelu": gelu}[model.activation](hidden) + weights["down_bias"]


def norm(model, vector):
    if model.norm == "none":
        return vector
    centred = vector - vector.mean()
    return centred / math.sqrt((centred**2).mean() + EPSILON)


def relu(x):
    return np.where(x > 0, x, 0)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
