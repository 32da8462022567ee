"""Runs as ensembles, and where scores under other sources of randomness are kept."""

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.config.sections import Plan
from es_randomized.config.yaml import load
from es_randomized.drivers.layout import first_weights
from es_randomized.errors import ConfigError
from es_randomized.evaluation.evaluate import evaluate
from es_randomized.evaluation.of_runs import Trained, evaluate_runs, file_of, write_score
from es_randomized.runs.folder import RunFolder

EXPERIMENT = load(Path(__file__).parents[1] / "tiny_gradient.yaml")


def untrained(seed, **changes):
    experiment = replace(EXPERIMENT, seed=seed, **changes)
    return Trained(experiment, first_weights(experiment)[0], "fresh weights")


def test_an_ensemble_has_one_run_per_weights_however_they_were_cut_up():
    members = [untrained(0), untrained(1, plan=Plan(tile=4)), untrained(2)]
    score = evaluate_runs(members, "ensemble")
    assert (score.randomness, score.runs) == ("ensemble", 3)
    alone = [evaluate(EXPERIMENT, member.weights, randomness="none").success for member in members]
    np.testing.assert_allclose(score.success, np.mean(alone, axis=0), atol=1e-6)


def test_runs_of_different_experiments_are_no_ensemble():
    other = untrained(1, task=replace(EXPERIMENT.task, n=6))
    with pytest.raises(ConfigError, match="differ in their seed alone, but task differ"):
        evaluate_runs([untrained(0), other], "ensemble")
    with pytest.raises(ConfigError, match="an ensemble is made of several runs"):
        evaluate_runs([untrained(0)], "ensemble")


def test_scores_under_other_sources_lie_beside_the_own_one(tmp_path):
    folder, run = RunFolder(tmp_path), untrained(0)
    for source, name in ((None, "evaluation.json"), ("none", "evaluation-none.json")):
        path = write_score(folder, run.experiment, evaluate_runs([run], source))
        assert path == file_of(folder, run.experiment, source) == tmp_path / name
        assert json.loads(path.read_text())["randomness"] == (source or "seed")
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluation.json",
        "evaluation.parquet",
        "evaluation-none.json",
    }
    fixed = replace(EXPERIMENT, batch=replace(EXPERIMENT.batch, seeds=1, fixed_seed=True))
    assert file_of(folder, fixed, "none") == tmp_path / "evaluation.json"


def test_losses_are_kept_where_they_mean_something():
    run = untrained(0)
    assert evaluate_runs([run]).losses.between_runs > 0
    assert evaluate_runs([run], "none").losses.between_runs == 0
    assert evaluate_runs([run], "sampled").losses is None
    assert np.isfinite(jnp.asarray(evaluate_runs([run]).losses.average)).all()
