"""A branch shares its parent's past and nothing else; a replay finds every snapshot again from the journal."""

import json
import shutil

import jax
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, RunFolder, load
from es_randomized.errors import RunFolderError
from es_randomized.runs.branch import branch, state_at, verify
from es_randomized.runs.restore import restore
from es_randomized.session import run_session
from tests.tools.command import TINY
from tests.tools.tiny import tiny


def evolution_of(**overrides):
    return Evolution.of(load(TINY, {name.replace("__", "."): value for name, value in overrides.items()}))


def session(folder, evolution):
    return run_session(folder, evolution, LocalEvaluator(evolution), lambda _: None)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    evolution, folder = tiny(), RunFolder(tmp_path_factory.mktemp("branch") / "parent")
    folder.create(evolution.experiment)
    session(folder, evolution)
    return folder, evolution


class Unused(LocalEvaluator):
    """Counts what is evaluated."""

    count = 0

    def evaluate(self, draw):
        Unused.count += 1
        return super().evaluate(draw)


def test_a_branch_without_a_change_ends_with_the_parents_bits(parent, tmp_path):
    folder, evolution = parent
    target = RunFolder(tmp_path / "same")
    branch(folder, evolution, evolution, 7, target)
    Unused.count = 0
    run_session(target, evolution, Unused(evolution), lambda _: None)
    assert Unused.count == 12 - 7
    np.testing.assert_array_equal(target.losses(), folder.losses())
    assert json.loads(target.provenance_file.read_text())["branch"]["generation"] == 7


def test_a_change_shows_from_the_branch_on_and_not_before(parent, tmp_path):
    folder, evolution = parent
    changed = evolution_of(driver__optimizer__learning_rate=0.5)
    target = RunFolder(tmp_path / "changed")
    branch(folder, evolution, changed, 7, target)
    session(target, changed)
    np.testing.assert_array_equal(target.losses()[:8], folder.losses()[:8])  # generation 7 draws from the shared state
    assert (target.losses()[8:] != folder.losses()[8:]).any(axis=1).all()
    assert restore(target, changed)[0] == 12
    assert all(verify(target, changed).values())
    # The old experiment's past must never be replayed with the new experiment's learning rate.
    shutil.rmtree(target.snapshots)
    target.snapshots.mkdir()
    with pytest.raises(RunFolderError, match="a branch that began before generation 7, and no state"):
        restore(target, changed)


def test_what_does_not_fit_is_refused(parent, tmp_path):
    folder, evolution = parent
    target = RunFolder(tmp_path / "no")
    with pytest.raises(RunFolderError, match="has 12 generations, so there is no state before 13"):
        branch(folder, evolution, evolution, 13, target)
    with pytest.raises(RunFolderError, match=r"model, driver\.kind and the kind of optimizer must stay"):
        branch(folder, evolution, evolution_of(driver__optimizer__kind="sgd"), 3, target)
    with pytest.raises(RunFolderError, match="12 losses a generation, but the new experiment has 8"):
        branch(folder, evolution, evolution_of(driver__population=8), 3, target)
    assert not target.path.exists()


def test_a_replay_finds_the_snapshots_again_and_notices_a_changed_one(parent, tmp_path):
    folder, evolution = parent
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(folder.path, copy.path)
    copy.save_snapshot(5, state_at(copy, evolution, 5))
    assert verify(copy, evolution) == {5: True, 12: True}
    wrong = jax.tree.map(
        lambda leaf: np.asarray(leaf) + np.asarray(1, np.asarray(leaf).dtype), state_at(copy, evolution, 5)
    )
    copy.save_snapshot(5, wrong)
    assert verify(copy, evolution) == {5: False, 12: True}
