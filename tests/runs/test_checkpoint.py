"""A checkpoint scores exactly like the run it was made of, and bad ones say what is wrong."""

import json

import numpy as np
import pytest

from es_randomized.drivers.local_evaluator import LocalEvaluator
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.of_runs import evaluate_runs, newest, write_score
from es_randomized.evaluation.stored import summary_of
from es_randomized.runs.checkpoint import export, is_checkpoint, metrics_of
from es_randomized.runs.folder import RunFolder
from es_randomized.session import run_session
from tests.tools.tiny import tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("run") / "a")
    driver = tiny()
    folder.create(driver.experiment)
    run_session(folder, driver, LocalEvaluator(driver), lambda row: None)
    return folder


def test_a_run_that_was_not_evaluated_is_not_exported(run, tmp_path):
    with pytest.raises(RunFolderError, match="was not evaluated; first es-randomized evaluate"):
        export(run, tmp_path / "kept")


def test_a_checkpoint_scores_like_its_run(run, tmp_path):
    score = evaluate_runs([newest(run)])
    write_score(run, run.experiment(), score)
    kept = RunFolder(tmp_path / "kept")
    export(run, kept.path)
    assert is_checkpoint(kept)
    assert not is_checkpoint(run)
    np.testing.assert_array_equal(newest(kept).weights, newest(run).weights)
    again = evaluate_runs([newest(kept)])
    assert summary_of(again) == summary_of(score)
    assert json.dumps(summary_of(score), indent=2) == kept.evaluation_file.read_text()
    assert metrics_of(kept).equals(metrics_of(run))
    with pytest.raises(RunFolderError, match="exists already"):
        export(run, kept.path)


def test_damaged_weights_are_named(run, tmp_path):
    write_score(run, run.experiment(), evaluate_runs([newest(run)]))
    kept = RunFolder(tmp_path / "kept")
    export(run, kept.path)
    (kept.path / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(RunFolderError, match=r"weights.safetensors is damaged.*get the checkpoint again"):
        newest(kept)
