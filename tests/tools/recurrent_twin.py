"""Recurrent models in float64, one case, token after token and head after head: slow twins, written from the papers' formulas."""

import math

import numpy as np

from tests.tools import transformer_twin as twin


def outputs(model, weights, tokens):
    """Outputs [output, node] for a causal sequence of tokens [feature, node]."""
    nodes = [twin.embedded(model, weights, token) for token in np.asarray(tokens, np.float64).T]
    for block in weights["blocks"]:
        mixed = MIXERS[type(model).__name__](model, block, [twin.norm(model, node) for node in nodes])
        nodes = [node + block["output"] @ y for node, y in zip(nodes, mixed, strict=True)]
        nodes = [node + twin.mlp(model, block, node) for node in nodes] if model.hidden else nodes
    return np.array([weights["readout"] @ twin.norm(model, node) + weights["readout_bias"] for node in nodes]).T


def of_heads(matrix, head, heads, node):
    """The part of matrix @ node that belongs to a head."""
    rows = len(matrix) // heads
    return matrix[head * rows : (head + 1) * rows] @ node


def linear_attention(model, block, nodes):
    """Sums over all tokens so far; no memory at all."""
    returned = []
    for now in range(len(nodes)):
        y = []
        for head in range(model.heads):
            query, *_ = parts(model, block, head, nodes[now])
            _, keys, values = zip(*(parts(model, block, head, node) for node in nodes[: now + 1]), strict=True)
            if model.features == "elu":
                query, keys = elu(query) + 1, [elu(key) + 1 for key in keys]
                total = sum(key @ query for key in keys)
            else:
                total = math.sqrt(model.key)
            y.append(sum((key @ query) * value for key, value in zip(keys, values, strict=True)) / total)
        returned.append(np.concatenate(y))
    return returned


def gated_linear(model, block, nodes):
    """Weights of earlier tokens are products of all decays since."""
    returned = []
    for now in range(len(nodes)):
        y = []
        for head in range(model.heads):
            query, *_ = parts(model, block, head, nodes[now])
            total = 0
            for then in range(now + 1):
                _, key, value = parts(model, block, head, nodes[then])
                kept = np.ones(model.key)
                for between in range(then + 1, now + 1):
                    kept = kept * decay(model, block, head, nodes[between])
                total = total + (key * kept) @ query / math.sqrt(model.key) * value
            y.append(total)
        returned.append(np.concatenate(y))
    return returned


def decay(model, block, head, node):
    bias = block["decay_bias"].reshape(model.heads, -1)[head]
    return sigmoid(bias if model.decay == "constant" else of_heads(block["decay"], head, model.heads, node) + bias)


def delta(model, block, nodes):
    memories = [np.zeros((model.key, slots(model))) for _ in range(model.heads)]
    returned = []
    for node in nodes:
        y = []
        for head, memory in enumerate(memories):
            query, key, value = parts(model, block, head, node)
            rate = sigmoid(of_heads(block["rate"], head, model.heads, node))
            write(memory, normal_features(model, key), value, rate)
            y.append(memory @ normal_features(model, query))
        returned.append(np.concatenate(y))
    return returned


def write(memory, key, value, rate):
    memory += rate * np.outer(value - memory @ key, key)


def slots(model):
    return 2 * model.key * model.shifts if model.features == "dpfp" else model.key


def normal_features(model, x):
    features = {"elu": lambda x: elu(x) + 1, "softmax": np.exp, "dpfp": lambda x: dpfp(x, model.shifts)}[
        model.features
    ](x)
    return features / features.sum()


def dpfp(x, shifts):
    r = np.concatenate([twin.relu(x), twin.relu(-x)])
    return np.array([r[j] * r[j - i] for i in range(1, shifts + 1) for j in range(len(r))])


def parts(model, block, head, node):
    return [of_heads(block[name], head, model.heads, node) for name in ("query", "key", "value")]


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrent_delta(model, block, nodes):
    memories, last = (
        [np.zeros((model.key, slots(model))) for _ in range(model.heads)],
        np.zeros((model.heads, model.key)),
    )
    returned = []
    for node in nodes:
        for head, memory in enumerate(memories):
            back = np.tanh(last[head])
            query, key, value, rate = (
                of_heads(block[name], head, model.heads, node) + block[f"back_{name}"][head] @ back
                for name in ("query", "key", "value", "rate")
            )
            write(memory, normal_features(model, key), value, sigmoid(rate))
            last[head] = memory @ normal_features(model, query)
        returned.append(last.flatten())
    return returned


def delta_rnn(model, block, nodes):
    memories = [np.zeros((model.key, slots(model))) for _ in range(model.heads)]
    others, last = np.zeros((model.heads, model.key, model.key)), np.zeros((model.heads, model.key))
    returned = []
    for node in nodes:
        for head, (memory, other) in enumerate(zip(memories, others, strict=True)):
            query, key, value = parts(model, block, head, node)
            rate, other_key, other_value, other_rate = (
                of_heads(block[name], head, model.heads, node)
                for name in ("rate", "fast_key", "fast_value", "fast_rate")
            )
            write(memory, normal_features(model, key), value, sigmoid(rate))
            write(other, softmax(other_key), other_value, sigmoid(other_rate))
            last[head] = memory @ normal_features(model, query) + other @ softmax(last[head])
        returned.append(last.flatten())
    return returned


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def gated_rnn(model, block, nodes):
    state, returned = np.zeros(model.units), []
    for node in nodes:
        entering = (block["enter"] @ node) * (block["enter_gate"] @ node + block["enter_bias"])
        state = sigmoid(block["keep"]) * state + entering
        returned.append((block["leave"] @ state) * (block["leave_gate"] @ state))
    return returned


def rg_lru(model, block, nodes):
    state, returned = np.zeros(model.units), []
    for node in nodes:
        rate = sigmoid(block["keep_gate"] @ node + block["keep_bias"])
        kept = np.exp(-8 * rate * np.log1p(np.exp(block["keep"])))
        open_ = sigmoid(block["enter_gate"] @ node + block["enter_bias"])
        state = kept * state + np.sqrt(1 - kept**2) * open_ * (block["enter"] @ node)
        returned.append(state * twin.gelu(block["leave_gate"] @ node))
    return returned


MIXERS = {
    "LinearAttention": linear_attention,
    "GatedLinear": gated_linear,
    "Delta": delta,
    "RecurrentDelta": recurrent_delta,
    "DeltaRNN": delta_rnn,
    "GatedRNN": gated_rnn,
    "RGLRU": rg_lru,
}
