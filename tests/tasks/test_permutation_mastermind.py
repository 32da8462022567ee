"""The fast Mastermind against a slow twin: one secret and one seed at a time, all tokens given anew before every guess."""

import math
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.tasks.permutation_mastermind import PermutationMastermind
from tests.tools import transformer_twin as twin
from tests.tools.function_policy import FunctionPolicy

N, SEEDS, NOISE = 3, 4, 2
TASK = PermutationMastermind(n=N, guesses=5, noise_width=NOISE)
MODEL = Transformer(width=6, hidden=6, blocks=1, attention="linear", key=3)
CODES = list(permutations(range(N)))


def token(seed, guess, answer, made):
    """The seed, the guess's matrix in the block of its answer, and the number of guesses made."""
    seen = np.zeros((N - 1, N, N))
    if guess is not None:
        for place, value in enumerate(guess):
            seen[answer, place, value] = 1
    return [*seed, *seen.reshape(-1), *np.eye(TASK.guesses)[made]]


def play(weights, seed, secret):
    """The guesses, and by how much the closest decision was decided."""
    tokens, guesses, margin = [token(seed, None, 0, 0)], [], math.inf
    while len(guesses) < TASK.guesses and secret not in guesses:
        scores = twin.outputs(MODEL, weights, np.array(tokens).T, twin.causal)[:, -1].reshape(N, N)
        sums = [sum(scores[place, value] for place, value in enumerate(code)) for code in CODES]
        *_, second, first = sorted(sums)
        margin = min(margin, first - second)
        guesses.append(CODES[int(np.argmax(sums))])
        answer = sum(a == b for a, b in zip(guesses[-1], secret, strict=True))
        if answer < N and len(guesses) < TASK.guesses:
            tokens.append(token(seed, guesses[-1], answer, len(guesses)))
    return guesses, margin


def cases_of(seeds):
    """Every secret with every seed."""
    secrets = np.repeat(TASK.enumerate(), seeds.shape[1])
    return TASK.observe(jnp.asarray(secrets), jnp.tile(seeds, len(CODES)))


@pytest.mark.parametrize("number", [1, 8])
def test_every_secret_and_seed_takes_as_many_guesses_as_the_twin(number):
    weights = twin.random_weights(MODEL, TASK.interface, number, scale=2.5)
    seeds = np.random.default_rng(number).normal(size=(NOISE, SEEDS)).astype(np.float32)
    outcome = jax.jit(lambda w, s: TASK.rollout(MODEL.policy(w, TASK.interface), cases_of(s)))(weights, seeds)
    played = [play(twin.doubled(weights), seed, secret) for secret in CODES for seed in seeds.T]
    assert min(margin for _, margin in played) > 1e-3
    paths = [tuple(guesses) for guesses, _ in played]
    secrets = [code for code in CODES for _ in range(SEEDS)]
    found = [secret in path for secret, path in zip(secrets, paths, strict=True)]
    assert outcome.success[0].tolist() == found
    assert outcome.loss[0].tolist() == [len(path) + (not right) for path, right in zip(paths, found, strict=True)]
    answers = outcome.answer[0].tolist()
    assert len(set(answers)) == len(set(paths)) == len(set(zip(answers, paths, strict=True)))
    assert len(set(found)) == 2, "both kinds of games are compared"


def test_sampled_guesses_come_with_their_chances_their_entropy_and_what_is_still_to_come():
    cases, task = 3000, PermutationMastermind(n=2, guesses=3, noise_width=1)
    scores = jnp.log(jnp.array([3.0, 1.0, 1.0, 1.0]))  # 0 1 is guessed three times as often as 1 0
    policy = FunctionPolicy(lambda tokens: jnp.broadcast_to(scores[:, None, None], (4, *tokens.shape[1:])))
    observed = task.observe(jnp.zeros(cases, jnp.int32), jnp.zeros((1, cases)))
    outcome, decisions = jax.jit(lambda key: task.sampled_rollout(policy, observed, key))(jax.random.key(0))
    loss, opened = np.asarray(outcome.loss[0]), np.asarray(decisions.open)[:, 0]
    made = opened.sum(axis=0)
    assert (loss == made + ~np.asarray(outcome.success[0])).all()
    for count, chance in enumerate([3 / 4, 3 / 16, 3 / 64, 1 / 64], 1):
        assert (loss == count).mean() == pytest.approx(chance, abs=4 * math.sqrt(chance / cases))
    time = np.arange(3)[:, None]
    np.testing.assert_array_equal(np.asarray(decisions.to_come)[:, 0][opened], (loss - time)[opened])
    right = opened & (time + 1 == loss)
    chances = np.where(right, math.log(3 / 4), math.log(1 / 4))[opened]
    np.testing.assert_allclose(np.asarray(decisions.log_probability)[:, 0][opened], chances, rtol=1e-5)
    entropy = -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))
    np.testing.assert_allclose(decisions.entropy, entropy, rtol=1e-5)


def test_kinds_are_secrets_whose_features_are_alike_where_they_agree():
    kinds = TASK.kinds
    assert kinds.of(jnp.arange(6)).tolist() == list(range(kinds.count))
    alike = kinds.features.T @ kinds.features
    expected = [[sum(a == b for a, b in zip(one, other, strict=True)) - 1 for other in CODES] for one in CODES]
    np.testing.assert_allclose(alike, expected, atol=1e-6)


def test_five_values_have_no_exact_reference_and_four_begin_with_the_minimax():
    assert [row.name for row in PermutationMastermind(n=5).references()] == ["every permutation in a random order"]
    first, *_ = PermutationMastermind(n=4).references()
    assert (first.kind, first.average, first.worst) == ("exact", pytest.approx(43 / 12), pytest.approx(43 / 12))


def test_more_values_than_can_be_listed_are_refused():
    with pytest.raises(ConfigError, match=r"task\.n: .*less than or equal to 5"):
        parse("task: {kind: permutation_mastermind, n: 6}")
