"""A run is restored from whatever survived: snapshots, or the journal alone."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, RunFolder
from es_randomized.errors import RunFolderError
from es_randomized.runs.restore import restore
from es_randomized.session import run_session
from es_randomized.strategies.strategy import State
from tests.tools.tiny import tiny


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Evolution, State]:
    evolution = tiny()
    folder = RunFolder(tmp_path_factory.mktemp("once") / "run")
    folder.create(evolution.experiment)
    session = run_session(folder, evolution, LocalEvaluator(evolution), lambda _: None)
    assert (session.generation, session.reason) == (12, "finished")
    return folder, evolution, session.state


@pytest.fixture
def trained(once: tuple[RunFolder, Evolution, State], tmp_path: Path) -> tuple[RunFolder, Evolution, State]:
    """A run of its own for every test."""
    folder, *others = once
    shutil.copytree(folder.path, tmp_path / "run")
    return RunFolder(tmp_path / "run"), *others


def assert_same(first: State, second: State) -> None:
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_from_the_snapshot(trained: tuple[RunFolder, Evolution, State]) -> None:
    folder, evolution, state = trained
    generation, restored = restore(folder, evolution)
    assert generation == 12
    assert_same(restored, state)


def test_from_the_journal_alone(trained: tuple[RunFolder, Evolution, State]) -> None:
    folder, evolution, state = trained
    for snapshot in folder.snapshots.iterdir():
        snapshot.unlink()
    generation, restored = restore(folder, evolution)
    assert generation == 12
    assert_same(restored, state)


def test_a_second_process_is_kept_out(trained: tuple[RunFolder, Evolution, State]) -> None:
    folder, _, _ = trained
    with folder.lock(), pytest.raises(RunFolderError, match="another process is training"):
        folder.lock()


def test_the_experiment_comes_back_as_it_was(trained: tuple[RunFolder, Evolution, State]) -> None:
    folder, evolution, _ = trained
    assert folder.experiment() == evolution.experiment


def test_another_revision_is_said_and_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evolution, folder = tiny(), RunFolder(tmp_path / "run")
    folder.create(evolution.experiment)
    folder.write_origin(folder.origin() | {"revision": "an older one"})
    assert restore(folder, evolution)[0] == 0
    assert "made with revision an older one, continued with" in caplog.text
