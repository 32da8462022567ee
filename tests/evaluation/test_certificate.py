"""What is guaranteed on every input, against the exact value of a mixture that is written down."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Evaluation
from es_randomized.evaluation.certificate import certificate, in_words, minimax
from es_randomized.evaluation.evaluate import score
from es_randomized.evaluation.stored import summary_of
from es_randomized.references.treasure_hunt import Hunt, losses, randomized
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.measure import SUCCESS
from es_randomized.tasks.task import Outcome
from es_randomized.tasks.treasure_hunt import TreasureHunt

GAME = Hunt(3, 3, 9, 2, (0, 0), frozenset())
HUNT = Experiment(task=TreasureHunt(rows=3, columns=3, steps=9), evaluation=Evaluation(seeds=4000, votes=[]))


def hunted(walks, mixture):
    """The score of a policy that draws one of these walks."""
    drawn = np.random.default_rng(0).choice(len(walks), size=4000, p=mixture)
    loss = np.stack([losses(GAME, walk) for walk in walks])[drawn].T
    outcome = Outcome(jnp.asarray(loss, jnp.float32), np.ones(loss.shape, bool), np.zeros(loss.shape, int))
    return score(HUNT, outcome, "seed", HUNT.task.enumerate(), True)


def test_the_optimal_mixture_is_guaranteed_the_minimax():
    solution = randomized(GAME)
    found = certificate(hunted(solution.walks, solution.mixture / solution.mixture.sum()))
    assert found.optimum == pytest.approx(solution.upper)
    assert found.excess.low <= 0.01
    assert abs(found.excess.value) < 0.05
    assert found.excess.low <= found.excess.value <= found.excess.high


def test_a_single_walk_guarantees_its_worst_treasure():
    solution = randomized(GAME)
    scored = hunted(solution.walks[:1], [1.0])
    worst = losses(GAME, solution.walks[0]).max()
    found = certificate(scored)
    assert found.excess.value == pytest.approx((worst - solution.upper) / solution.upper)
    assert found.excess.low <= found.excess.value <= found.excess.high
    assert f"{100 * found.excess.value:.1f} [" in in_words(found, HUNT.task.measure)
    tree = json.loads(json.dumps(summary_of(scored)))["certificate"]
    assert tree["worst"]["value"] == worst
    assert tree["minimax"] == pytest.approx(solution.upper)


def test_shares_differ_in_points():
    experiment = Experiment(task=CycleColouring(n=4), evaluation=Evaluation(seeds=200, votes=[]))
    bundles = experiment.task.enumerate()
    success = np.ones((bundles.shape[-1], 200), bool)
    success[0, ::4] = False
    outcome = Outcome(success * 1.0, success, success * 1)
    found = certificate(score(experiment, outcome, "seed", bundles, True))
    assert found.excess.value == pytest.approx(0.25)
    assert "25.0 [" in in_words(found, experiment.task.measure)
    assert "points below the minimax, 100.0" in in_words(found, experiment.task.measure)


def test_a_sample_of_the_inputs_guarantees_nothing():
    experiment = Experiment(task=AssociativeRecall(n=3, bits=2), evaluation=Evaluation(seeds=40, votes=[]))
    success = np.ones((9, 40), bool)
    stores = np.zeros((3, 3), int)
    assert certificate(score(experiment, Outcome(1.0 - success, success, success * 1), "seed", stores, False)) is None


@pytest.mark.parametrize(("task", "best"), [(CycleColouring(n=7), 1.0), (CycleColouring(n=7, identifiers=False), None)])
def test_a_classical_algorithm_is_no_minimax(task, best):
    assert len([row for row in task.references() if row.kind == "algorithm"]) == 3
    assert minimax(task.references(), SUCCESS) == best
