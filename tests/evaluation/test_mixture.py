"""Learned mixtures: games whose value is known by hand, and a hypernetwork whose chances and losses are known otherwise."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from es_randomized import rng
from es_randomized.config.yaml import parse
from es_randomized.evaluation.evaluate import evaluate
from es_randomized.evaluation.mixture import in_words, solved
from es_randomized.evaluation.stored import score_of, summary_of, table_of
from es_randomized.fitness import unraveller
from es_randomized.models.hypernetwork import chances
from es_randomized.report.table import score_table
from es_randomized.tasks.measure import SUCCESS, Measure
from es_randomized.tasks.task import Outcome
from tests.tools import transformer_twin as twin

STEPS = Measure("loss", "steps")


def outcome(losses, answers):
    return Outcome(np.array(losses, float), np.array(losses) == 0, np.array(answers))


def test_the_best_chances_of_three_policies_are_those_of_the_game_by_hand():
    alone = outcome([[1, 4, 9], [4, 2, 9]], [[0, 1, 2], [3, 4, 5]])  # equal on both inputs with chances 2/5 and 3/5
    runs = outcome([[1, 1, 4, 9], [4, 4, 2, 9]], [[0, 0, 1, 2], [3, 3, 4, 5]])
    found = solved(STEPS, alone, runs)
    assert found.best_chances == pytest.approx([0.4, 0.6, 0])
    assert found.best_worst == pytest.approx(14 / 5)
    assert found.chances == [0.5, 0.25, 0.25]
    assert found.worst == pytest.approx((4 + 4 + 2 + 9) / 4)
    assert in_words(found, STEPS) == (
        "A mixture of 3 policies: worst 4.75 with chances 50 / 25 / 25 %; the best one of the same policies: worst 2.80 with "
        "chances 40 / 60 / 0 % (the game's exact value)."
    )


def test_success_is_a_game_too_and_runs_that_mix_policies_have_no_chances():
    alone = outcome([[0, 1], [1, 0]], [[1, 2], [1, 2]])
    found = solved(SUCCESS, alone, outcome([[0, 0], [0, 0]], [[1, 2], [2, 2]]))
    assert (found.best_worst, found.best_chances) == (pytest.approx(0.5), pytest.approx([0.5, 0.5]))
    assert found.chances is found.worst is None
    assert in_words(found, SUCCESS).startswith(
        "A mixture of 2 policies; the best one of the same policies: worst 50.0 %"
    )


@pytest.mark.long
def test_the_mixture_of_a_hypernetwork_has_the_chances_of_its_seeds_and_the_worst_input_of_its_runs():
    made = parse(
        "task: {kind: treasure_hunt, rows: 2, columns: 2, steps: 4, noise_width: 2}\nevaluation: {seeds: 40, votes: []}\n"
        "model: {kind: hypernetwork, policies: 3, hidden: 3, base: {width: 4, blocks: 1, hidden: 4}}\nbatch: {instances: 3}"
    )
    weights = twin.random_weights(made.model, made.task.interface, 3)
    score = evaluate(made, ravel_pytree(weights)[0])
    seeds = made.task.seeds(rng.address(made.seed, rng.Purpose.EVALUATION_SEEDS), 40)
    expected = np.asarray(chances(made.model, jax.tree.map(jnp.asarray, weights), seeds)).mean(axis=1)
    assert sorted(score.mixture.chances) == pytest.approx(sorted(expected.tolist()))  # two of the policies are equal
    assert max(score.mixture.chances) < 1
    assert score.mixture.worst == pytest.approx(score.per_instance.max())
    assert score.mixture.best_worst <= score.mixture.worst
    again = score_of(json.loads(json.dumps(summary_of(score))), table_of(score))
    assert again.mixture == score.mixture
    assert "A mixture of 3 policies" in str(score_table(score).caption)
    policies = made.model.pure(unraveller(made.model, made.task)(ravel_pytree(weights)[0]))
    for number, each in enumerate(policies):
        assert (np.asarray(chances(made.model, each, seeds)).argmax(axis=0) == number).all()
