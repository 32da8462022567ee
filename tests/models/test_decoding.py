"""Causal tokens all at once, one by one with a memory, from a branch of another memory, and as a store with readers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.connectivity import Causal, Store
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from tests.tools import transformer_twin as twin

LENGTH, CASES = 5, 3
HORIZON = 2 * LENGTH
INTERFACE = Interface(features=4, outputs=2, nodes=LENGTH, connectivity=Causal(), horizon=HORIZON)
SLOTS, PARENTS = np.array([1, 3, 5, 3], np.int32), np.array([2, 0, 1, 2], np.int32)  # of the children
ACTIVE = np.random.default_rng(0).uniform(size=(LENGTH, 4)) < 0.6  # which child takes which of its own tokens
ACTIVE[-1] = True
SHAPES = [
    {"attention": attention, "heads": heads, "key": key}
    for attention in ("softmax", "linear")
    for heads, key in ((1, None), (2, 3))
] + [{"attention": "linear", "heads": 2, "key": 3, "hidden": None, "norm": "none"}]


def with_blocks(blocks, **settings):
    return Transformer(**{"width": 6, "blocks": blocks, "hidden": 8} | settings)


def close(outputs, expected):
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


class Decoded:
    """Parents that were given LENGTH tokens, and children that go on from some of them."""

    def __init__(self, shape):
        self.model = with_blocks(2, stem=7 if shape["heads"] == 2 else None, **shape)
        generator = np.random.default_rng(1)
        self.weights = twin.random_weights(self.model, INTERFACE, 2)
        self.tokens = generator.normal(size=(4, LENGTH, CASES)).astype(np.float32)
        self.more = generator.normal(size=(4, LENGTH, len(SLOTS))).astype(np.float32)
        results = jax.jit(self.program)(self.weights, self.tokens, self.more)
        self.at_once, self.one_by_one, self.continued = map(np.asarray, results)

    def program(self, weights, tokens, more):
        policy = self.model.policy(weights, INTERFACE)

        def step(memory, given):
            token, slot, active = given
            output, memory = policy.step(memory, token, slot, active)
            return memory, (output, policy.trace(memory))

        def decode(memory, tokens, first, active):
            slots = first + jnp.arange(LENGTH)
            memory, (outputs, traces) = jax.lax.scan(step, memory, (jnp.moveaxis(tokens, 1, 0), slots, active))
            return memory, jnp.moveaxis(outputs, 0, 1), traces

        everyone = jnp.ones((LENGTH, CASES), bool)
        memory, outputs, traces = decode(policy.empty(CASES), tokens, 0, everyone)
        children = policy.branch(memory, traces, jnp.asarray(SLOTS), jnp.asarray(PARENTS))
        _, continued, _ = decode(children, more, LENGTH, ACTIVE)
        return policy(tokens), outputs, continued

    def twin(self, tokens):
        return twin.outputs(self.model, twin.doubled(self.weights), tokens, twin.causal)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def decoded(request):
    return Decoded(request.param)


def test_a_causal_sequence_equals_the_twin(decoded):
    expected = np.stack([decoded.twin(decoded.tokens[..., case]) for case in range(CASES)], axis=-1)
    close(decoded.at_once, expected)


def test_tokens_one_by_one_give_the_outputs_of_all_at_once(decoded):
    close(decoded.one_by_one, decoded.at_once)


def test_children_go_on_as_if_they_had_been_given_the_shared_tokens_and_their_own(decoded):
    """Only the tokens at which a child is active count as its own."""
    for child, (slots, parent) in enumerate(zip(SLOTS, PARENTS, strict=True)):
        own = np.flatnonzero(ACTIVE[:, child])
        sequence = np.concatenate([decoded.tokens[:, :slots, parent], decoded.more[:, own, child]], axis=1)
        close(decoded.continued[:, own, child], decoded.twin(sequence)[:, slots:])


@pytest.mark.parametrize(("shape", "blocks"), [*((shape, 2) for shape in SHAPES), (SHAPES[1], 1)], ids=str)
def test_readers_of_a_store_get_what_the_last_token_of_a_causal_sequence_gets(shape, blocks):
    stored, readers = 3, 2
    interface = Interface(features=4, outputs=2, nodes=stored + readers, connectivity=Store(stored))
    model = with_blocks(blocks, **shape)
    weights = twin.random_weights(model, interface, 3)
    tokens = np.random.default_rng(4).normal(size=(4, stored + readers, CASES)).astype(np.float32)
    outputs = jax.jit(lambda weights, tokens: model.policy(weights, interface)(tokens))(weights, tokens)
    assert outputs.shape == (2, readers, CASES)
    for reader in range(readers):
        for case in range(CASES):
            sequence = tokens[:, [*range(stored), stored + reader], case]
            expected = twin.outputs(model, twin.doubled(weights), sequence, twin.causal)[:, -1]
            close(outputs[:, reader, case], expected)
