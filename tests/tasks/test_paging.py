"""Paging against a slow twin: one sequence and one seed at a time, with sets."""

import math
from itertools import pairwise, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.tasks.paging import Paging
from tests.references.test_paging import fewest
from tests.tools.function_policy import FunctionPolicy

SEEDS = 3


def serve(task, sequence, seed, readout):
    """Faults and evicted pages of a policy that scores pages by a matrix times the token."""
    cached, evicted = set(range(task.slots)), []
    for time, page in enumerate(sequence):
        if page in cached:
            continue
        token = [*seed[:, time], *np.eye(task.count)[page], *np.eye(task.requests)[time]]
        scores = readout @ np.array(token)
        evicted.append(max(sorted(cached), key=lambda other: scores[other]))
        cached = cached - {evicted[-1]} | {page}
    return tuple(evicted)


@pytest.mark.parametrize(
    "task", [Paging(slots=2, requests=5, noise_width=2), Paging(slots=2, pages=5, requests=4)], ids=str
)
def test_every_sequence_and_seed_has_the_faults_of_the_twin(task):
    generator, sequences = np.random.default_rng(0), task.enumerate()
    readout = generator.normal(size=(task.count, task.interface.features)).astype(np.float32)
    seeds = generator.normal(size=(task.noise_width, task.requests, SEEDS)).astype(np.float32)
    policy = FunctionPolicy(lambda tokens: jnp.einsum("of,fnc->onc", readout, tokens))
    cases = task.observe(jnp.repeat(jnp.asarray(sequences), SEEDS, axis=1), jnp.tile(seeds, sequences.shape[1]))
    outcome = jax.jit(lambda: task.rollout(policy, cases))()
    pairs = [(tuple(sequence), seed) for sequence in sequences.T.tolist() for seed in range(SEEDS)]
    evicted = [serve(task, sequence, seeds[..., seed], readout) for sequence, seed in pairs]
    least = [fewest(task.slots, sequence) for sequence, _ in pairs]
    ratios = [len(pages) / best for pages, best in zip(evicted, least, strict=True)]
    np.testing.assert_allclose(outcome.loss[0], ratios, rtol=1e-6)
    assert outcome.success[0].tolist() == [ratio == 1 for ratio in ratios]
    answers = outcome.answer[0].tolist()
    assert len(set(answers)) == len(set(evicted)) == len(set(zip(answers, evicted, strict=True)))
    assert task.labels(sequences)["fewest_faults"].tolist() == least[::SEEDS]


@pytest.mark.parametrize(("slots", "pages", "requests"), [(2, None, 5), (2, 4, 4), (1, None, 3)])
def test_sequences_are_all_that_begin_with_a_fault_and_never_ask_twice(slots, pages, requests):
    task = Paging(slots=slots, pages=pages, requests=requests)
    every = [
        sequence
        for sequence in product(range(task.count), repeat=requests)
        if sequence[0] == slots and all(a != b for a, b in pairwise(sequence))
    ]
    assert sorted(map(tuple, task.enumerate().T.tolist())) == every
    drawn = jax.jit(task.sample, static_argnums=1)(jax.random.key(0), 2000)
    found, counts = np.unique(np.asarray(drawn), axis=1, return_counts=True)
    assert sorted(map(tuple, found.T.tolist())) == every
    assert np.abs(counts / 2000 - 1 / len(every)).max() < 5 * math.sqrt(1 / len(every) / 2000)


def test_sampled_evictions_come_with_their_chances_their_entropy_and_the_faults_to_come():
    task, cases = Paging(slots=2, requests=3, noise_width=1), 3000
    scores = jnp.log(jnp.array([3.0, 1.0, 5.0]))
    policy = FunctionPolicy(lambda tokens: jnp.broadcast_to(scores[:, None, None], (3, *tokens.shape[1:])))
    sequence = jnp.array([2, 0, 1])  # page 0 goes with chance 3/4, and then page 2 with 5/6
    observed = task.observe(jnp.repeat(sequence[:, None], cases, axis=1), jnp.zeros((1, 3, cases)))
    outcome, decisions = jax.jit(lambda key: task.sampled_rollout(policy, observed, key))(jax.random.key(0))
    faults = np.asarray(decisions.open)[:, 0]
    np.testing.assert_array_equal(outcome.loss[0], faults.sum(axis=0) / 2)  # the best has two
    assert faults[0].all()
    first = faults[1]  # page 0 was evicted; then among 1 and 2
    assert first.mean() == pytest.approx(3 / 4, abs=4 * math.sqrt(3 / 16 / cases))
    kept_one = first & ~faults[2]
    assert kept_one.sum() / first.sum() == pytest.approx(5 / 6, abs=4 * math.sqrt(5 / 36 / first.sum()))
    assert faults[2][~first].all()
    np.testing.assert_array_equal(decisions.to_come[0, 0], faults[1:].sum(axis=0) / 2)
    np.testing.assert_array_equal(decisions.to_come[2, 0], 0)
    chances = np.where(first, math.log(3 / 4), math.log(1 / 4))
    np.testing.assert_allclose(decisions.log_probability[0, 0], chances, rtol=1e-5)
    second = np.where(kept_one, math.log(5 / 6), math.log(1 / 6))[first]
    np.testing.assert_allclose(np.asarray(decisions.log_probability)[1, 0][first], second, rtol=1e-5)
    entropy = -(5 / 6 * math.log(5 / 6) + 1 / 6 * math.log(1 / 6))
    np.testing.assert_allclose(np.asarray(decisions.entropy)[1, 0][first], entropy, rtol=1e-5)


def test_sequences_of_one_kind_begin_alike():
    task = Paging(slots=3, requests=7)
    kinds, sequences = task.kinds, task.enumerate()
    of = np.asarray(kinds.of(jnp.asarray(sequences)))
    beginnings = [tuple(sequence[:5]) for sequence in sequences.T.tolist()]  # 3^4 = 81 of them, and 3^5 are too many
    assert len(set(of.tolist())) == kinds.count == 81 == len(set(zip(of.tolist(), beginnings, strict=True)))
    assert kinds.numbers(jnp.zeros((4, 7, 5))).shape == (28, 5)


def test_the_exact_minimax_is_only_given_for_one_page_more_than_slots():
    rows = {row.name: row for row in Paging(slots=3, requests=6).references()}
    assert rows["exact minimax, H_k"] == ("exact minimax, H_k", None, None, pytest.approx(11 / 6), "exact")
    assert rows["LRU on all sequences"].worst == 3
    assert rows["marking on all sequences"].worst == pytest.approx(11 / 6)
    assert {row.kind for row in Paging(slots=3, pages=6, requests=40).references()} == {"paper", "algorithm"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("slots: 3, pages: 3", "task: pages is 3, but 3 slots hold as many; use more than 3"),
        (
            "slots: 5, requests: 7",
            "task: requests is 7, too few for the worst that can happen to 5 slots; use 8 or more",
        ),
        ("slots: 0", r"task\.slots: .*greater than or equal to 1"),
    ],
)
def test_what_makes_no_game_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(f"task: {{kind: paging, {settings}}}")
