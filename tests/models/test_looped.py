"""Looped blocks against a twin that loops, how far turns reach, and another number of them at evaluation and in phases."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from es_randomized import Experiment, local_evaluator
from es_randomized.cli.evaluate import _apart
from es_randomized.config.yaml import parse
from es_randomized.connectivity import Causal, Ring, Store
from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import ConfigError
from es_randomized.evaluation.evaluate import runner_of
from es_randomized.evaluation.of_runs import Trained, with_model
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import repeated_runs
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.fitness import parameters
from es_randomized.models.delta import Delta
from es_randomized.models.layers.renewed import renewed
from es_randomized.models.looped import Looped
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from es_randomized.tasks.cycle_colouring import CycleColouring
from tests.tools import transformer_twin as twin

CASES = 3
BLOCK = Transformer(width=6, blocks=1, hidden=8, stem=5)
RING = Interface(features=4, outputs=2, nodes=9, connectivity=Ring())
CAUSAL = Interface(features=4, outputs=2, nodes=5, connectivity=Causal(), horizon=5)
STORE = Interface(features=4, outputs=2, nodes=5, connectivity=Store(3))


def outputs(model, weights, tokens, interface):
    return np.asarray(jax.jit(lambda weights, tokens: model.policy(weights, interface)(tokens))(weights, tokens))


def tokens_of(interface):
    return np.random.default_rng(5).normal(size=(interface.features, interface.nodes, CASES)).astype(np.float32)


def by_twin(weights, tokens, sees, loops):
    exact = twin.doubled(weights)
    return np.stack([twin.looped(BLOCK, exact, tokens[..., case], sees, loops) for case in range(CASES)], axis=-1)


@pytest.mark.parametrize("loops", [1, 3])
def test_turns_on_a_cycle_equal_the_twin_and_one_turn_is_the_block_itself(loops):
    model, weights, tokens = Looped(loops=loops, block=BLOCK), twin.random_weights(BLOCK, RING, 1), tokens_of(RING)
    found = outputs(model, weights, tokens, RING)
    np.testing.assert_allclose(found, by_twin(weights, tokens, twin.ring, loops), rtol=1e-4, atol=1e-5)
    alone = outputs(BLOCK, weights, tokens, RING)
    assert (np.abs(found - alone).max() < 1e-5) == (loops == 1)


def test_tokens_one_by_one_and_readers_of_a_store_equal_the_twin():
    model, weights, tokens = Looped(loops=2, block=BLOCK), twin.random_weights(BLOCK, CAUSAL, 1), tokens_of(CAUSAL)

    def one_by_one(weights, tokens):
        policy = model.policy(weights, CAUSAL)

        def step(memory, given):
            output, memory = policy.step(memory, *given)
            return memory, (output, policy.trace(memory))

        memory, (found, traces) = jax.lax.scan(
            step, policy.empty(CASES), (jnp.moveaxis(tokens, 1, 0)[:4], jnp.arange(4))
        )
        branched = policy.branch(memory, traces, jnp.array([2, 4]), jnp.array([1, 0]))
        more, _ = policy.step(branched, tokens[:, 4, :2], 4)
        return jnp.moveaxis(found, 0, 1), more, model.policy(weights, STORE)(tokens)

    found, more, readers = jax.jit(one_by_one)(weights, tokens)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(found, by_twin(weights, tokens, twin.causal, 2)[:, :4], **close)
    exact = twin.doubled(weights)
    for child, (slots, parent) in enumerate(((2, 1), (4, 0))):
        sequence = np.concatenate([tokens[:, :slots, parent], tokens[:, 4:, child]], axis=1)
        expected = twin.looped(BLOCK, exact, sequence, twin.causal, 2)[:, -1]
        np.testing.assert_allclose(more[:, child], expected, **close)
    for reader in range(2):
        expected = by_twin(weights, tokens[:, [0, 1, 2, 3 + reader]], twin.causal, 2)[:, -1]
        np.testing.assert_allclose(readers[:, reader], expected, **close)


@pytest.mark.parametrize("loops", [2, 3])
def test_a_turn_reaches_one_step_further(loops):
    model, weights, tokens = Looped(loops=loops, block=BLOCK), twin.random_weights(BLOCK, RING, 1), tokens_of(RING)
    touched = tokens.copy()
    touched[:, 4] += 1
    changed = np.abs(outputs(model, weights, touched, RING) - outputs(model, weights, tokens, RING)).max(axis=(0, 2))
    assert np.flatnonzero(changed).tolist() == list(range(4 - loops, 5 + loops))
    assert model.receptive_field(RING) == loops


def test_windows_of_a_looped_model_find_what_whole_cycles_do():
    task, model = CycleColouring(n=8), Looped(loops=2, block=replace(BLOCK, stem=None))
    experiment = Experiment(task=task, model=model)
    assert runner_of(experiment) is WindowOutcomes
    weights = np.random.default_rng(2).normal(scale=0.6, size=(1, parameters(model, task))).astype(np.float32)
    weights[:, -3:] = 0  # no colour is preferred
    runs, cycles = repeated_runs(experiment, jnp.asarray(weights), "seed", 20), task.enumerate()[:, :60]
    found, expected = (runner(task, model)(runs, cycles) for runner in (WindowOutcomes, Outcomes))
    assert len(np.unique(expected.answer)) > 8
    np.testing.assert_array_equal(found.answer, expected.answer)


def test_embedding_and_read_out_are_used_once_and_the_block_in_every_turn():
    weights = BLOCK.init(jax.random.key(0), RING)
    once, block = (
        sum(leaf.size for leaf in jax.tree.leaves(part) if leaf.ndim > 1) for part in (weights, weights["blocks"])
    )
    assert Looped(loops=4, block=BLOCK).flops(RING) == 2 * (once + 3 * block)
    assert Looped(loops=4, block=Delta(blocks=1, key=3)).memory(CAUSAL) == 4 * 9


# Random numbers of every turn


def hashed(seeds, times):
    """NumPy integers without a bound, cut to 32 bits after every step."""
    low = 2**32 - 1

    def mix(x):
        x = (x ^ (x >> 16)) * 0x85EBCA6B & low
        x = (x ^ (x >> 13)) * 0xC2B2AE35 & low
        return x ^ (x >> 16)

    columns = []
    for column in np.asarray(seeds, np.float32).T:
        state = times * 0x9E3779B9 & low
        for number in column.view(np.uint32).tolist():
            state = mix(state ^ number)
        columns.append([(mix(state + place * 0x9E3779B9 & low) >> 8) / 2**24 for place in range(1, len(column) + 1)])
    return np.array(columns).T


def test_later_turns_see_hashes_of_the_seed():
    ring = replace(RING, seed_features=range(1, 3))
    model, weights, tokens = (
        Looped(loops=3, block=BLOCK, fresh=True),
        twin.random_weights(BLOCK, RING, 1),
        tokens_of(RING),
    )
    found, exact = outputs(model, weights, tokens, ring), twin.doubled(weights)
    for case in range(CASES):
        turns = [tokens[..., case]]
        for turn in (1, 2):
            turns.append(turns[0].copy())
            turns[-1][1:3] = hashed(tokens[1:3, :, case], turn)
        nodes = [np.zeros(BLOCK.width)] * RING.nodes
        for of_turn in turns:
            given = [twin.embedded(BLOCK, exact, token) for token in of_turn.T.astype(np.float64)]
            nodes = twin.thought(BLOCK, exact, [node + own for node, own in zip(nodes, given, strict=True)], twin.ring)
        np.testing.assert_allclose(found[..., case], twin.read(BLOCK, exact, nodes), rtol=1e-4, atol=1e-5)


def test_hashes_of_seeds_are_spread_like_independent_uniform_numbers():
    seeds = np.random.default_rng(1).normal(size=(2, 4000)).astype(np.float32)
    numbers = np.concatenate([np.asarray(renewed(jnp.asarray(seeds), times)) for times in (1, 2)])
    assert all(stats.kstest(row, "uniform").pvalue > 1e-3 for row in numbers)
    correlations = np.corrcoef(np.concatenate([numbers, stats.norm.cdf(seeds)]))
    assert np.abs(np.triu(correlations, 1)).max() < 4 / 4000**0.5


def test_without_a_known_seed_there_is_nothing_to_renew():
    with pytest.raises(ConfigError, match=r"model\.fresh: random numbers of later turns are made of the seed"):
        Looped(fresh=True, block=BLOCK).check(RING)
    assert Looped(loops=3, block=BLOCK, fresh=True).flops(RING) == Looped(loops=3, block=BLOCK).flops(RING) + 2 * 2 * (
        6 * 4 + 2 * 5 * 6
    )


# The loss of the last turns


@pytest.mark.long
def test_what_is_trained_is_the_mean_loss_of_policies_that_stop_earlier():
    made = parse(LOOPED.replace("loops: 2", "loops: 3, last: 2"))
    fitness, count = driver_of(made).fitness, parameters(made.model, made.task)
    flat = jnp.asarray(np.random.default_rng(1).normal(size=count), jnp.float32)

    def losses(model):
        return np.asarray(jax.jit(replace(fitness, model=model).losses)(flat, jnp.uint32(0)))

    alone = [losses(replace(made.model, last=1, loops=loops)) for loops in (3, 2)]
    np.testing.assert_allclose(losses(made.model), np.mean(alone, axis=0), rtol=1e-5)
    assert np.ptp(alone, axis=0).max() > 1e-2
    interface = made.task.interface
    assert len(replace(made.model, last=9).trained(made.model.init(jax.random.key(0), interface), interface)) == 3


def test_policies_that_stop_earlier_share_their_turns():
    model, weights, tokens = Looped(loops=4, block=BLOCK, last=3), twin.random_weights(BLOCK, RING, 1), tokens_of(RING)

    def flops(policies):
        program = jax.jit(lambda tokens: [policy(tokens) for policy in policies])
        return program.lower(jnp.asarray(tokens)).compile().cost_analysis()["flops"]

    once = flops([model.policy(weights, RING)])
    assert once < flops(model.trained(weights, RING)) < 1.2 * once


def test_sampled_actions_train_one_policy():
    made = parse(
        "task: {kind: treasure_hunt, rows: 2, columns: 2, steps: 3}\ndriver: {kind: gradient}\nbatch: {instances: 3, seeds: 2}\n"
        "model: {kind: looped, last: 2, block: {width: 4, blocks: 1, hidden: 4}}\nplan: {tile: 2}"
    )
    driver = driver_of(made)
    with pytest.raises(ConfigError, match=r"model\.last: gradient descent by sampled actions trains one policy"):
        driver.step(driver.init(), 0, local_evaluator(driver))


# Settings


LOOPED = "task: {kind: cycle_colouring, n: 5}\nmodel: {kind: looped, loops: 2, block: {width: 4, blocks: 1, hidden: 4}}"


def test_weights_are_evaluated_with_another_number_of_turns():
    experiment = parse(LOOPED)
    places, settings = _apart(("run", "--model.loops", "8", "other", "--model.loops=3"))
    assert (places, settings) == (["run", "other"], ["--model.loops", "8", "--model.loops=3"])
    trained = Trained(experiment, jnp.zeros(parameters(experiment.model, experiment.task)), "these")
    changed = with_model(trained, {"model.loops": 8}).experiment
    assert changed == replace(experiment, model=replace(experiment.model, loops=8))
    with pytest.raises(ConfigError, match=r"model\.block\.width: the weights have shapes .*, but this needs .*"):
        with_model(trained, {"model.block.width": 8})
    plain = parse("task: {kind: cycle_colouring, n: 5}\nmodel: {width: 4}")
    with pytest.raises(ConfigError, match=r"model\.loops: transformer has no such setting; it is one of looped"):
        with_model(trained._replace(experiment=plain), {"model.loops": 8})
    with pytest.raises(ConfigError, match=r"task\.n: weights are evaluated as they were trained"):
        with_model(trained, {"task.n": 8})


def test_the_number_of_turns_may_grow_from_phase_to_phase():
    grown = parse(f"{LOOPED}\nbudget: {{generations: 4}}\nphases: [{{model: {{loops: 1}}}}, {{}}]")
    assert [phase.model.loops for phase in grown.by_phase] == [1, 2]
    with pytest.raises(ConfigError, match=r"phases\.1: its task and model have \d+ weights, but the phase before has"):
        driver_of(parse(f"{LOOPED}\nbudget: {{generations: 4}}\nphases: [{{model: {{block: {{width: 6}}}}}}, {{}}]"))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("{wdith: 3}", "model.block.wdith: unknown key; did you mean width?"),
        ("{kind: looped}", "model.block: Looped has no blocks that a loop could apply again"),
        ("{kind: delta}", "Delta reads tokens in an order, and on a cycle there is none"),
        ("{width: 0.5}", "model.block.width: should be a valid integer"),
        ("{kind: transfomer}", "did you mean transformer?"),
    ],
)
def test_blocks_that_make_no_sense_are_refused_by_name(block, message):
    with pytest.raises(ConfigError) as refused:
        parse(f"task: {{kind: cycle_colouring, n: 5}}\nmodel: {{kind: looped, block: {block}}}")
    assert message in str(refused.value)


def test_what_stands_for_a_block_must_be_a_model():
    assert isinstance(Looped().block, Model)
    with pytest.raises(ValueError, match="expected an object of class Model"):
        Looped(block={"kind": "transformer"})
