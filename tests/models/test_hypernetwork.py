"""Weights made of the seed: against the base model with each case's own weights, put together in NumPy."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Experiment
from es_randomized.connectivity import Causal, Ring
from es_randomized.errors import ConfigError
from es_randomized.models.hypernetwork import Hypernetwork, chances
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from es_randomized.tasks.cycle_colouring import CycleColouring
from tests.tools import transformer_twin as twin

pytestmark = pytest.mark.long  # many programs, compiled for half a minute

CASES, NODES = 12, 4
BASE = Transformer(width=6, blocks=1, hidden=8, key=3, attention="linear")
INTERFACE = Interface(
    features=6, outputs=2, nodes=NODES, connectivity=Causal(), horizon=NODES, seed_features=range(2, 5)
)
SEEN = replace(INTERFACE, features=3, seed_features=range(0))
SLOTS, PARENTS = [1, 3, 2], [4, 0, 9]


def soft_chances(mixing, seeds):
    hidden = np.maximum(mixing["up"] @ seeds + mixing["up_bias"], 0)
    powers = np.exp(mixing["down"] @ hidden + mixing["down_bias"])
    return powers / powers.sum()


@pytest.fixture(scope="module", params=["one_hot", "soft"])
def found(request):
    """A model with weights and tokens; its outputs all at once, one by one and of children of some cases."""
    model = Hypernetwork(policies=3, mixing=request.param, hidden=5, base=BASE)
    weights = twin.random_weights(model, INTERFACE, 1)
    tokens = np.random.default_rng(2).normal(size=(6, NODES, CASES)).astype(np.float32)

    def program(weights, tokens):
        policy = model.policy(weights, INTERFACE)

        def step(memory, given):
            output, memory = policy.step(memory, *given)
            return memory, (output, policy.trace(memory))

        memory, (outputs, traces) = jax.lax.scan(
            step, policy.empty(CASES), (jnp.moveaxis(tokens, 1, 0), jnp.arange(NODES))
        )
        children = policy.branch(memory, traces, jnp.array(SLOTS), jnp.array(PARENTS))
        more, _ = policy.step(children, tokens[:, 1, :3], NODES - 1)
        seeds = chances(model, weights, tokens[2:5, 0])
        return policy(tokens), jnp.moveaxis(outputs, 0, 1), more, seeds

    return model, weights, tokens, [np.asarray(part) for part in jax.jit(program)(weights, tokens)]


def own(model, weights, case_tokens):
    """z of a case and the outputs of the base model with that case's weights."""
    exact = twin.doubled(weights)
    z = soft_chances(exact["mixing"], case_tokens[2:5, 0])
    z = np.eye(3)[z.argmax()] if model.mixing == "one_hot" else z
    blended = jax.tree.map(lambda base, *parts: base + sum(map(np.multiply, z, parts)), exact["base"], *exact["parts"])
    return z, lambda tokens: twin.outputs(BASE, blended, tokens[[0, 1, 5]], twin.causal)


def test_every_case_has_the_outputs_of_its_own_weights(found):
    model, weights, tokens, (at_once, one_by_one, _, seeds) = found
    for case in range(CASES):
        z, outputs = own(model, weights, tokens[..., case])
        np.testing.assert_allclose(seeds[:, case], z, atol=1e-5)
        expected = outputs(tokens[..., case])
        np.testing.assert_allclose(at_once[..., case], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_allclose(one_by_one[..., case], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert len(set(seeds.argmax(axis=0).tolist())) > 1


def test_children_keep_the_weights_of_their_parents(found):
    model, weights, tokens, (*_, more, _) = found
    for child, (slots, parent) in enumerate(zip(SLOTS, PARENTS, strict=True)):
        _, outputs = own(model, weights, tokens[..., parent])
        expected = outputs(np.concatenate([tokens[:, :slots, parent], tokens[:, 1:2, child]], axis=1))[:, -1]
        np.testing.assert_allclose(more[:, child], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_fresh_policies_are_fresh_ones_of_the_base_and_differ():
    model = Hypernetwork(policies=2, base=BASE)
    weights = model.init(jax.random.key(3), INTERFACE)
    whole = [jax.tree.map(jnp.add, weights["base"], part) for part in weights["parts"]]
    up = [np.asarray(each["blocks"][0]["up"]) for each in [weights["base"], *whole]]
    for one in up:
        assert np.var(one) * BASE.width == pytest.approx(1, rel=0.4)
        assert np.abs(one).max() <= 2 / 0.8796 * BASE.width**-0.5 + 1e-6
    assert np.abs(np.triu(np.corrcoef([one.ravel() for one in up]), 1)).max() < 0.6
    assert not np.asarray(whole[1]["readout_bias"]).any()


def test_it_has_one_memory_for_every_policy():
    assert Hypernetwork(policies=3, base=BASE).memory(INTERFACE) == 3 * BASE.memory(SEEN) + 3


@pytest.mark.parametrize("mixing", ["one_hot", "soft"])
def test_seeds_learn_which_policy_is_better(mixing):
    """A step down the derivative makes the policy with the smaller loss likelier."""
    model = Hypernetwork(policies=2, mixing=mixing, hidden=4, base=BASE)
    weights = twin.random_weights(model, INTERFACE, 5)
    zero = jax.tree.map(np.zeros_like, weights["base"])
    weights |= {
        "base": zero,
        "parts": [zero, zero | {"readout_bias": np.float32([-1, -1])}],
    }  # the second one has loss -1
    tokens = np.random.default_rng(2).normal(size=(6, NODES, CASES)).astype(np.float32)
    slope = jax.jit(jax.grad(lambda weights: jnp.mean(model.policy(weights, INTERFACE)(jnp.asarray(tokens)))))(weights)
    first, second = slope["mixing"]["down_bias"]
    assert second < 0 < first


def test_a_task_whose_seed_is_not_known_is_refused():
    class Silent(CycleColouring):
        @property
        def interface(self):
            return replace(super().interface, seed_features=range(0))

    with pytest.raises(ConfigError, match="a hypernetwork makes weights of the seed, and this task does not say"):
        Experiment(task=Silent(n=5), model=Hypernetwork())
    assert Hypernetwork().receptive_field(Interface(features=2, outputs=1, nodes=5, connectivity=Ring())) is None
