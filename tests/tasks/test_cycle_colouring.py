"""The dynamics of cycle colouring against a slow twin of one case, brute force and closed forms."""

import math
from itertools import pairwise, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from es_randomized.references.colouring import one_shot
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.task import Outcome
from tests.tools.function_policy import FunctionPolicy


def cases(task, count):
    """`count` random cases: cycles [position, case] and noise [noise, vertex, case]."""
    generator = np.random.default_rng(0)
    cycles = np.stack([generator.permutation(task.n) for _ in range(count)], axis=1).astype(np.int32)
    noise = generator.normal(size=(task.noise_width, task.n, count)).astype(np.float32)
    return cycles, noise


def run(task, policy, cycles, noise):
    """Tokens and outcome [case] of the batched kernel; `policy` is a function of the tokens."""

    def kernel(cycles, noise):
        observations = task.observe(cycles, noise)
        return observations[0], task.rollout(FunctionPolicy(policy), observations)

    tokens, outcome = jax.jit(kernel)(cycles, noise)
    assert {part.shape for part in outcome} == {(1, cycles.shape[1])}
    return tokens, Outcome(*(part[0] for part in outcome))


def edges(cycle):
    return list(pairwise([*cycle, cycle[0]]))


# Instances


@pytest.mark.parametrize("n", [3, 6, 10])
def test_samples_are_permutations(n):
    cycles = np.asarray(CycleColouring(n=n).sample(jax.random.key(7), 50))
    assert cycles.shape == (n, 50)
    assert all(sorted(cycle) == list(range(n)) for cycle in cycles.T)


def test_samples_are_uniform_over_the_cycles():
    cycles = np.asarray(CycleColouring(n=4).sample(jax.random.key(7), 6000))
    opposite = np.where(cycles == 0, np.roll(cycles, -2, axis=0), 0).sum(axis=0)  # determines a cycle of four vertices
    counts = np.bincount(opposite, minlength=4)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 2000).max() < 4 * math.sqrt(6000 * 2 / 9)


@pytest.mark.parametrize("n", range(3, 9))
def test_enumeration_lists_every_cycle_once(n):
    cycles = CycleColouring(n=n).enumerate()
    assert cycles.shape == (n, math.factorial(n - 1) // 2)
    assert (np.sort(cycles, axis=0) == np.arange(n)[:, None]).all()
    # A cycle is its set of undirected edges, whatever its start and direction.
    assert len({frozenset(map(frozenset, edges(cycle.tolist()))) for cycle in cycles.T}) == cycles.shape[1]


def test_too_many_cycles_are_not_listed():
    assert CycleColouring(n=11).enumerate() is None


@pytest.mark.parametrize(
    ("noise", "mean", "deviation"), [("uniform", 0.5, 12**-0.5), ("normal", 0.0, 1.0), ("bits", 0.5, 0.5)]
)
def test_seeds_have_the_stated_distribution(noise, mean, deviation):
    values = np.asarray(CycleColouring(n=5, noise=noise, noise_width=2).seeds(jax.random.key(7), 4000), np.float64)
    assert values.shape == (2, 5, 4000)
    assert values.mean() == pytest.approx(mean, abs=4 * deviation / values.size**0.5)
    assert values.std() == pytest.approx(deviation, abs=0.02)
    assert np.abs(np.corrcoef(values.reshape(10, -1)) - np.eye(10)).max() < 0.1
    assert noise != "bits" or set(np.unique(values)) == {0.0, 1.0}


# One case at a time: a slow twin in plain Python


def own_only(table):
    return lambda tokens, node: table["own"] @ tokens[:, node]


def with_neighbours(table):
    def logits(tokens, node):
        before, after = tokens[:, node - 1], tokens[:, (node + 1) % tokens.shape[1]]
        return table["own"] @ tokens[:, node] + table["before"] @ before + table["after"] @ after

    return logits


def certain(table):
    return lambda tokens, node: 40 * with_neighbours(table)(tokens, node)


def random_table(task):
    generator, shape = np.random.default_rng(3), (task.colours, task.interface.features)
    return {name: generator.normal(size=shape).astype(np.float32) for name in ("own", "before", "after")}


TWIN_POLICIES = {"own_only": own_only, "with_neighbours": with_neighbours, "certain": certain}


def batched_policy(name, table):
    table = {key: jnp.asarray(value, jnp.float32) for key, value in table.items()}

    def policy(tokens):
        own = jnp.einsum("of,fnc->onc", table["own"], tokens)
        if name == "own_only":
            return own
        before = jnp.einsum("of,fnc->onc", table["before"], jnp.roll(tokens, 1, axis=1))
        after = jnp.einsum("of,fnc->onc", table["after"], jnp.roll(tokens, -1, axis=1))
        return (own + before + after) * (40.0 if name == "certain" else 1.0)

    return policy


def twin_tokens(task, cycle, noise):
    """Tokens [feature, node] of one case."""
    columns = []
    for vertex in cycle:
        one_hot = [float(vertex == other) for other in range(task.n)] if task.identifiers else []
        columns.append(one_hot + [float(noise[row, vertex]) for row in range(task.noise_width)])
    return np.array(columns).T


def softmax(logits):
    powers = [math.exp(value - max(logits)) for value in logits]
    return [power / sum(powers) for power in powers]


def twin_outcome(task, logits, tokens, cycle):
    """Loss, success and answer of one case."""
    scores = [logits(tokens, node).tolist() for node in range(task.n)]
    chances = [softmax(row) for row in scores]
    around = edges(range(task.n))
    loss = sum(p * q for u, v in around for p, q in zip(chances[u], chances[v], strict=True))
    colours = [row.index(max(row)) for row in scores]
    success = all(colours[u] != colours[v] for u, v in around)
    answer = sum(colour * task.colours**vertex for colour, vertex in zip(colours, cycle, strict=True))
    return loss, success, answer


@pytest.mark.parametrize("policy", TWIN_POLICIES)
@pytest.mark.parametrize(
    "settings",
    [
        {"n": 3},
        {"n": 6, "colours": 2, "noise": "bits"},
        {"n": 5, "colours": 4, "noise": "normal", "noise_width": 2},
        {"n": 4, "identifiers": False, "noise": "normal"},
        {"n": 10, "noise": "uniform"},
    ],
    ids=str,
)
def test_the_kernel_equals_the_twin(settings, policy):
    task = CycleColouring(**settings)
    table = random_table(task)
    cycles, noise = cases(task, 12)
    seen, outcome = map(jax.device_get, run(task, batched_policy(policy, table), cycles, noise))
    assert seen.shape == (task.interface.features, task.n, 12)
    for case in range(12):
        cycle = cycles[:, case].tolist()
        tokens = twin_tokens(task, cycle, noise[:, :, case])
        np.testing.assert_allclose(seen[..., case], tokens)
        loss, success, answer = twin_outcome(task, TWIN_POLICIES[policy](table), tokens, cycle)
        assert float(outcome.loss[case]) == pytest.approx(loss, rel=2e-4, abs=2e-5)
        assert bool(outcome.success[case]) == success
        assert int(outcome.answer[case]) == answer


def chance_of_a_monochromatic_edge(chances):
    """Exact, over all colourings of nodes that choose independently: chances [colour, node]."""
    colours, n = chances.shape
    bad = 0.0
    for colouring in product(range(colours), repeat=n):
        if any(colouring[i] == colouring[i - 1] for i in range(n)):
            bad += math.prod(chances[colour, node] for node, colour in enumerate(colouring))
    return bad


@pytest.mark.parametrize("sharpness", [0.3, 2.0, 10.0])
def test_the_loss_bounds_the_chance_of_a_monochromatic_edge(sharpness):
    task = CycleColouring(n=5)
    logits = sharpness * np.random.default_rng(2).normal(size=(3, 5, 8)).astype(np.float32)
    losses = np.asarray(run(task, lambda _: jnp.asarray(logits), *cases(task, 8))[1].loss)
    for case in range(8):
        chances = np.array([softmax(row) for row in logits[..., case].T]).T
        exact = chance_of_a_monochromatic_edge(chances)
        assert exact <= losses[case] + 1e-6
        assert losses[case] <= 5 * exact + 1e-5  # and each of the five edges is at most as likely as any


# Closed forms


def colours_from_noise(colours):
    """The policy whose answer at a node with noise u is the colour floor(u * colours)."""
    return lambda tokens: -((tokens[-1:] * colours - (jnp.arange(float(colours))[:, None, None] + 0.5)) ** 2)


@pytest.mark.parametrize(("n", "colours"), [(4, 2), (3, 3), (10, 3), (6, 4)])
def test_blind_random_colours_succeed_at_the_one_shot_rate(n, colours):
    count, task = 20_000, CycleColouring(n=n, colours=colours)
    cycles, _ = cases(task, count)
    _, outcome = run(task, colours_from_noise(colours), cycles, task.seeds(jax.random.key(1), count))
    exact = one_shot(n, colours)
    assert float(outcome.success.mean()) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / count))


def test_anonymous_nodes_with_equal_seeds_all_answer_alike():
    task = CycleColouring(n=7, identifiers=False)
    cycles, noise = cases(task, 30)
    policy = batched_policy("with_neighbours", random_table(task))
    _, outcome = run(task, policy, cycles, np.broadcast_to(noise[:, :1], noise.shape))
    monochromatic = [colour * sum(3**vertex for vertex in range(7)) for colour in range(3)]
    assert not outcome.success.any()
    assert set(np.asarray(outcome.answer).tolist()) <= set(monochromatic)


def test_the_answer_does_not_depend_on_where_the_cycle_is_cut():
    task = CycleColouring(n=6)
    cycles, noise = cases(task, 20)
    turned = np.roll(cycles[::-1], 2, axis=0)
    whole, cut = (run(task, colours_from_noise(3), order, noise)[1] for order in (cycles, turned))
    np.testing.assert_array_equal(whole.answer, cut.answer)
    np.testing.assert_array_equal(whole.success, cut.success)
    np.testing.assert_allclose(whole.loss, cut.loss, rtol=1e-5)


@pytest.mark.parametrize("n", [3, 5, 9])
def test_two_colours_on_an_odd_cycle_are_refused(n):
    with pytest.raises(ValidationError, match=f"n={n} vertices has no proper 2-colouring because n is odd"):
        CycleColouring(n=n, colours=2)


def test_references_name_the_one_shot_rate_for_every_size():
    for n, colours in [(4, 2), (10, 3), (20, 5)]:
        rows = {row.name: row.average for row in CycleColouring(n=n, colours=colours).references()}
        assert rows["one-shot random colours"] == one_shot(n, colours)


def test_answers_of_long_cycles_differ_where_colourings_differ_and_do_not_depend_on_the_order():
    task = CycleColouring(n=20, colours=4)
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 4, (20, 500)).astype(np.int32)
    colours[:16, 1::2] = colours[:16, ::2]  # pairs that differ only where digits would overflow
    orders = np.repeat(np.arange(20, dtype=np.int32)[:, None], 500, axis=1)
    _, answers = task.judge(jnp.asarray(colours), jnp.asarray(orders))
    assert len(np.unique(np.asarray(answers))) == len(np.unique(colours, axis=1).T)
    _, turned = task.judge(jnp.asarray(np.roll(colours, 3, axis=0)), jnp.asarray(np.roll(orders, 3, axis=0)))
    np.testing.assert_array_equal(np.asarray(answers), np.asarray(turned))
