"""Recurrent models against their float64 twins: as a causal sequence, one by one, from a branch, as a store with readers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.config.kinds import class_of
from es_randomized.connectivity import Causal, Store
from es_randomized.models.recurrent import Recurrent
from es_randomized.perturbed import Perturbed
from es_randomized.policy import Interface
from tests.tools import recurrent_twin as twin
from tests.tools.transformer_twin import doubled, random_weights

LENGTH, CASES = 5, 3
SIZES = {"width": 6, "blocks": 1, "hidden": 8}
ACTIVE = np.array([[1, 1], [0, 1], [1, 0], [1, 1]], bool)  # which child takes which of its own tokens
SLOTS, PARENTS = np.array([1, 4], np.int32), np.array([2, 0], np.int32)
SHAPES = {  # a compiled program takes a second or two
    "linear": ("linear_attention", {"heads": 2, "key": 3, "blocks": 2}),
    "linear, normalised": ("linear_attention", {"key": 3, "features": "elu", "hidden": None, "norm": "none"}),
    "delta": ("delta", {"heads": 2, "key": 3, "blocks": 2}),
    "delta, more slots": ("delta", {"key": 3, "features": "dpfp", "shifts": 2, "stem": 5}),
    "gated": ("gated_linear", {"heads": 2, "key": 3, "decay": "constant"}),
    "gated key by key": ("gated_linear", {"heads": 2, "key": 3, "decay": "key"}),
    "recurrent delta": ("recurrent_delta", {"heads": 2, "key": 3}),
    "delta RNN": ("delta_rnn", {"heads": 2, "key": 3, "features": "elu"}),
    "gated RNN": ("gated_rnn", {"units": 5, "gates": 4}),
    "RG-LRU": ("rg_lru", {"units": 5}),
}


def model_of(shape):
    kind, settings = SHAPES[shape]
    return class_of("model", kind)(**SIZES | settings)


def below(cls):
    return {each for child in cls.__subclasses__() for each in (child, *below(child))}


def test_every_recurrent_kind_is_here():
    assert {type(model_of(shape)) for shape in SHAPES} == below(Recurrent)


class Setting:
    """A model with random weights and tokens."""

    def __init__(self, shape):
        self.model = model_of(shape)
        self.causal = Interface(features=4, outputs=2, nodes=LENGTH, connectivity=Causal(), horizon=2 * LENGTH)
        self.store = Interface(features=4, outputs=2, nodes=LENGTH, connectivity=Store(LENGTH - 2))
        self.weights = random_weights(self.model, self.causal, 2)
        draw = np.random.default_rng(1).normal
        self.tokens = draw(size=(4, LENGTH, CASES)).astype(np.float32)
        self.more = draw(size=(4, len(ACTIVE), len(SLOTS))).astype(np.float32)

    def readers_of(self, weights):
        return self.model.policy(weights, self.store)(jnp.asarray(self.tokens))

    def twin(self, tokens):
        return twin.outputs(self.model, doubled(self.weights), tokens)


class Decoded(Setting):
    """One program: a causal sequence all at once, its tokens one by one, children of some of them, and a store."""

    def __init__(self, shape):
        super().__init__(shape)
        results = jax.jit(self.program)(self.weights, self.tokens, self.more)
        self.at_once, self.one_by_one, self.continued, self.readers = map(np.asarray, results)

    def program(self, weights, tokens, more):
        policy = self.model.policy(weights, self.causal)

        def step(memory, given):
            token, slot, active = given
            output, memory = policy.step(memory, token, slot, active)
            return memory, (output, policy.trace(memory))

        def decode(memory, tokens, first, active):
            given = jnp.moveaxis(tokens, 1, 0), first + jnp.arange(tokens.shape[1]), active
            memory, (outputs, traces) = jax.lax.scan(step, memory, given)
            return memory, jnp.moveaxis(outputs, 0, 1), traces

        memory, outputs, traces = decode(policy.empty(CASES), tokens, 0, jnp.ones((LENGTH, CASES), bool))
        children = policy.branch(memory, traces, jnp.asarray(SLOTS), jnp.asarray(PARENTS))
        _, continued, _ = decode(children, more, LENGTH, jnp.asarray(ACTIVE))
        return policy(tokens), outputs, continued, self.readers_of(weights)


@pytest.fixture(scope="module", params=SHAPES)
def decoded(request):
    return Decoded(request.param)


def close(outputs, expected):
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_sequence_equals_the_twin_all_at_once_and_one_by_one(decoded):
    expected = np.stack([decoded.twin(decoded.tokens[..., case]) for case in range(CASES)], axis=-1)
    assert np.abs(expected[:, 1:] - decoded.at_once[:, :1]).max() > 1e-3
    close(decoded.at_once, expected)
    close(decoded.one_by_one, expected)


def test_children_go_on_as_if_they_had_been_given_the_shared_tokens_and_their_own(decoded):
    for child, (slots, parent) in enumerate(zip(SLOTS, PARENTS, strict=True)):
        own = np.flatnonzero(ACTIVE[:, child])
        sequence = np.concatenate([decoded.tokens[:, :slots, parent], decoded.more[:, own, child]], axis=1)
        close(decoded.continued[:, own, child], decoded.twin(sequence)[:, slots:])


def test_readers_of_a_store_get_what_the_last_token_of_a_sequence_gets(decoded):
    stored = LENGTH - 2
    for reader in range(2):
        for case in range(CASES):
            sequence = decoded.tokens[:, [*range(stored), stored + reader], case]
            close(decoded.readers[:, reader, case], decoded.twin(sequence)[:, -1])


def test_its_memory_is_as_large_as_it_says(decoded):
    policy = decoded.model.policy(decoded.weights, decoded.causal)
    assert decoded.model.memory(decoded.causal) == sum(leaf.size for leaf in jax.tree.leaves(policy.empty(1)))
    assert decoded.model.memory(decoded.store) == decoded.model.memory(decoded.causal) > 0


@pytest.mark.parametrize("shape", ["delta RNN"])
def test_a_derivative_is_the_difference_quotient_of_the_twin(shape):
    """Of what readers of a store get, in a random direction of the weights."""
    setting = Setting(shape)
    draw = np.random.default_rng(4).normal
    slope, reach = draw(size=(2, 2, CASES)), 1e-5
    direction = jax.tree.map(lambda leaf: draw(size=leaf.shape), setting.weights)
    grad = jax.jit(jax.grad(lambda weights: jnp.sum(setting.readers_of(weights) * slope.astype(np.float32))))
    found = sum(np.sum(a * b) for a, b in zip(*map(jax.tree.leaves, (grad(setting.weights), direction)), strict=True))

    def exact(sign):
        weights = jax.tree.map(lambda leaf, way: leaf + sign * reach * way, doubled(setting.weights), direction)
        stored = LENGTH - 2
        sequences = [[*range(stored), stored + reader] for reader in range(2)]
        outputs = [
            [twin.outputs(setting.model, weights, setting.tokens[:, sequence, case])[:, -1] for case in range(CASES)]
            for sequence in sequences
        ]
        return np.sum(np.transpose(outputs, (2, 0, 1)) * slope)

    assert found == pytest.approx((exact(1) - exact(-1)) / (2 * reach), rel=1e-3)


@pytest.mark.parametrize("shape", ["recurrent delta"])
def test_low_rank_members_give_the_outputs_of_their_matrices_put_together(shape):
    setting = Setting(shape)
    draw = np.random.default_rng(6).normal

    def thin(leaf):
        factors = [draw(size=(*leaf.shape[:-2], side, 2)).astype(np.float32) for side in leaf.shape[-2:]]
        return Perturbed(leaf, *factors) if leaf.ndim > 1 else leaf

    def outputs(weights):
        policy, memory = setting.model.policy(weights, setting.causal), None
        returned = [setting.readers_of(weights)]
        for slot in range(2):
            memory = policy.empty(CASES) if memory is None else memory
            output, memory = policy.step(memory, jnp.asarray(setting.tokens[:, slot]), slot)
            returned.append(output)
        return returned

    whole = jax.tree.map(thin, setting.weights)
    is_thin = lambda x: isinstance(x, Perturbed)  # noqa: E731
    dense = jax.tree.map(lambda x: x.dense() if is_thin(x) else x, whole, is_leaf=is_thin)
    for found, expected in zip(*map(jax.jit(outputs), (whole, dense)), strict=True):
        close(found, np.asarray(expected))
