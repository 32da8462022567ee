"""A checkpoint scores exactly like the run it was made of, and bad ones say what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from es_randomized.drivers.local_evaluator import LocalEvaluator
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.of_runs import evaluate_runs, newest, write_score
from es_randomized.evaluation.stored import stored, summary_of
from es_randomized.runs.checked import read_json
from es_randomized.runs.checkpoint import export, metrics_of
from es_randomized.runs.folder import RunFolder
from es_randomized.session import run_session
from tests.tools.command import run_here
from tests.tools.tiny import tiny

SHIPPED = Path(__file__).parents[2] / "checkpoints"


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
    assert kept.is_checkpoint
    assert not run.is_checkpoint
    np.testing.assert_array_equal(newest(kept).weights, newest(run).weights)
    again = evaluate_runs([newest(kept)])
    assert summary_of(again) == summary_of(score)
    assert read_json(kept.evaluation_file) == json.loads(json.dumps(summary_of(score)))
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


def test_flipped_weights_are_noticed(run, tmp_path):
    write_score(run, run.experiment(), evaluate_runs([newest(run)]))
    kept = RunFolder(tmp_path / "kept")
    export(run, kept.path)
    whole = kept.weights_file.read_bytes()
    kept.weights_file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(RunFolderError, match=r"weights.safetensors is damaged: its checksum does not fit"):
        newest(kept)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def kept(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_score(run, run.experiment(), evaluate_runs([newest(run)]))
    export(run, tmp_path / "kept")
    return tmp_path / "kept"


@pytest.mark.cluster
def test_a_checkpoint_is_read_only_to_every_command(kept, tmp_path):
    before = content(kept)
    for command, options in {
        "resume": ["--local"],
        "replay": [],
        "branch": ["--at", 3],
        "export": [tmp_path / "b"],
    }.items():
        refused = run_here(command, kept, *options)
        assert refused.returncode == 1
        assert "is a checkpoint: it keeps weights for good" in refused.stderr, command
        assert content(kept) == before
    for command, options in {"evaluate": [], "report": ["--out", tmp_path / "page"], "compare": [kept]}.items():
        run_here(command, kept, *options)
        assert content(kept) == before, command
    result = run_here("evaluate", kept, "--randomness", "none")
    assert result.returncode == 0, result.stderr
    assert content(kept) == before


@pytest.mark.long
def test_what_evaluate_finds_of_a_checkpoint_is_found_again(kept, tmp_path):
    result = run_here("evaluate", kept)
    assert result.returncode == 0, result.stderr
    folder = RunFolder(kept)
    assert str(folder.picture) in result.stdout
    assert folder.picture.read_bytes().startswith(b"\x89PNG")
    found = stored(folder)
    assert found.instances is not None
    assert found.summary == read_json(kept / "evaluation.json")


def test_a_damaged_evaluation_of_a_checkpoint_stays(kept):
    (kept / "evaluation.json").write_text("{torn")
    assert run_here("evaluate", kept).returncode == 0
    assert (kept / "evaluation.json").read_text() == "{torn"


def test_shipped_checkpoints_are_read():
    for folder in sorted(SHIPPED.iterdir()):
        if folder.is_dir():
            assert len(newest(RunFolder(folder)).weights)
