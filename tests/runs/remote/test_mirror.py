"""What is at an address is a run, whenever the one who brings it up is cut off, and the same run with the same bits."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from es_randomized import RunFolder, load
from es_randomized.drivers.ledger import Cost
from es_randomized.errors import RunFolderError, StorageError
from es_randomized.runs.journal import read
from es_randomized.runs.metrics import Metrics, read_metrics
from es_randomized.runs.remote.fetch import fetch
from es_randomized.runs.remote.mirror import Mirror
from tests.tools.command import TINY
from tests.tools.faulty_store import FaultyStore

BEGAN = 2  # the run is a branch: its journal alone leads nowhere, so that a snapshot of this generation or later must be there
SAVES = (2, 3, 4, 7, 8)  # pieces of the journal are joined on the way to 4 and 7, not to 3 and 8
LOSSES = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of a run's folder after each save; what was trained does not matter here, so nothing was."""
    root = tmp_path_factory.mktemp("stages")
    folder = RunFolder(root / "run")
    folder.create(load(TINY))
    folder.provenance_file.write_text(json.dumps({"branch": {"generation": BEGAN}}))
    journal, copies = folder.open_journal(6), []
    metrics = Metrics(folder.metrics, list(folder.losses()), Cost(1, 1, 1).times, 1)
    for generation in SAVES:
        for number in range(journal.generations, generation):
            journal.append(number, LOSSES[number])
            metrics.add(number, LOSSES[number], 0.0, {})
        folder.save_snapshot(generation, {"weights": LOSSES[:generation].sum(0)})
        metrics.flush()
        copies.append(Path(shutil.copytree(folder.path, root / str(generation))))
    journal.close()
    return copies


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    return FaultyStore(tmp_path / "store")


@pytest.fixture
def local(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "local")


def becomes(folder: RunFolder, stage: Path) -> None:
    """Let the folder be as it was after a save."""
    shutil.rmtree(folder.path, ignore_errors=True)
    shutil.copytree(stage, folder.path)


def fetched(store: FaultyStore, path: Path) -> RunFolder:
    path.mkdir(exist_ok=True)
    folder = RunFolder(path)
    fetch(store.remote(), folder)
    return folder


def assert_sound(folder: RunFolder, stages: list[Path]) -> int:
    """The folder leads to a state of the run; returns to which generation."""
    recorded = read(folder.journal_file)
    assert recorded.losses.tobytes() == LOSSES[: len(recorded.losses)].tobytes()
    assert not recorded.damaged
    leading = [path for path in folder.snapshots.iterdir() if BEGAN <= int(path.stem) <= len(recorded.losses)]
    assert leading
    for path in leading:
        assert path.read_bytes() == (stages[SAVES.index(int(path.stem))] / "snapshots" / path.name).read_bytes()
    rows = read_metrics(folder.metrics)["generation"].to_pylist()
    assert rows == list(range(len(rows)))
    return len(recorded.losses)


def test_cut_off_anywhere_a_run_is_there(stages: list[Path], local: RunFolder, tmp_path: Path) -> None:
    begun = 0
    for cut in range(100):
        store, done = FaultyStore(tmp_path / f"store{cut}"), 0
        try:
            mirror = Mirror(local, store.remote())
            store.left = cut
            for stage, generation in zip(stages, SAVES, strict=True):
                becomes(local, stage)
                mirror.push()
                done = generation
        except StorageError:
            store.left = None
            if "experiment.yaml" in store.remote().names():
                begun += 1
                assert assert_sound(fetched(store, tmp_path / f"elsewhere{cut}"), stages) >= done
            else:
                assert not done
            continue
        break
    assert done == 8
    assert begun > 15


def test_a_store_that_was_away_gets_what_it_missed(
    stages: list[Path], store: FaultyStore, local: RunFolder, tmp_path: Path
) -> None:
    mirror = Mirror(local, store.remote())
    for stage, works_until in zip(stages, (None, 2, 0, 1, None), strict=True):
        becomes(local, stage)
        store.left = works_until
        if works_until is None:
            mirror.push()
        else:
            with pytest.raises(StorageError, match=r"faulty://run: the store is away\. Check the address"):
                mirror.push()
    assert assert_sound(fetched(store, tmp_path / "elsewhere"), stages) == 8
    there = store.remote().names()
    assert [name for name in there if name.startswith("snapshots/")] == ["snapshots/00000008.safetensors"]
    assert len([name for name in there if name.startswith("metrics/")]) == len(SAVES)


def test_only_what_changed_is_brought_up(stages: list[Path], store: FaultyStore, local: RunFolder) -> None:
    becomes(local, stages[-1])
    mirror = Mirror(local, store.remote())
    mirror.push()
    before = len(store.written)
    mirror.push()
    assert len(store.written) == before
    local.picture.write_bytes(b"picture")
    mirror.push()
    assert store.written[before:] == ["run/picture.png"]


def test_half_a_record_stays_here(stages: list[Path], store: FaultyStore, local: RunFolder, tmp_path: Path) -> None:
    becomes(local, stages[-1])
    whole = local.journal_file.read_bytes()
    local.journal_file.write_bytes(whole + whole[16:30])
    Mirror(local, store.remote()).push()
    assert fetched(store, tmp_path / "elsewhere").journal_file.read_bytes() == whole


def test_a_tail_that_was_cut_here_goes_there_too(
    stages: list[Path], store: FaultyStore, local: RunFolder, tmp_path: Path
) -> None:
    becomes(local, stages[-1])
    mirror = Mirror(local, store.remote())
    mirror.push()
    shorter = (stages[-2] / "journal.bin").read_bytes()
    local.journal_file.write_bytes(shorter)
    mirror.push()
    assert fetched(store, tmp_path / "elsewhere").journal_file.read_bytes() == shorter


class Busy(FaultyStore):
    """Where the next save is brought up before whatever somebody else does."""

    def __init__(self, folder: Path, local: RunFolder, stages: list[Path]) -> None:
        super().__init__(folder)
        self.local, self.stages = local, list(stages)
        self.mirror: Mirror | None = None

    def _work(self):
        mirror, self.mirror = self.mirror, None
        if mirror and self.stages:
            becomes(self.local, self.stages.pop(0))
            mirror.push()
            self.mirror = mirror


@pytest.mark.parametrize("begin", range(len(SAVES) - 1))
def test_read_while_it_is_written(begin: int, stages: list[Path], local: RunFolder, tmp_path: Path) -> None:
    store = Busy(tmp_path / "busy", local, stages[begin + 1 :])
    becomes(local, stages[begin])
    mirror = Mirror(local, store.remote())
    mirror.push()
    store.mirror = mirror
    assert assert_sound(fetched(store, tmp_path / "elsewhere"), stages) > SAVES[begin]
    assert not store.stages


class Hurried(FaultyStore):
    """Where the run is saved again whenever an object is about to be written."""

    def __init__(self, folder: Path, local: RunFolder, stages: list[Path]) -> None:
        super().__init__(folder)
        self.local, self.stages = local, list(stages)

    def open_output_stream(self, path, metadata):
        if self.stages:
            becomes(self.local, self.stages.pop(0))
        return super().open_output_stream(path, metadata)


@pytest.mark.parametrize("begin", range(len(SAVES) - 1))
def test_saved_again_while_it_is_brought_up(begin: int, stages: list[Path], local: RunFolder, tmp_path: Path) -> None:
    store = Hurried(tmp_path / "hurried", local, stages[begin + 1 :])
    becomes(local, stages[begin])
    mirror = Mirror(local, store.remote())
    mirror.push()
    assert assert_sound(fetched(store, tmp_path / "first"), stages) >= SAVES[begin]
    mirror.push()
    assert assert_sound(fetched(store, tmp_path / "second"), stages) == SAVES[-1]


def test_the_copy_that_is_further_on_stays(stages: list[Path], store: FaultyStore, local: RunFolder) -> None:
    becomes(local, stages[2])
    Mirror(local, store.remote()).push()
    becomes(local, stages[3])
    fetch(store.remote(), local)
    assert assert_sound(local, stages) == SAVES[3]
    becomes(local, stages[1])
    fetch(store.remote(), local)
    assert assert_sound(local, stages) == SAVES[2]


def test_a_copy_with_other_losses_is_not_touched(stages: list[Path], store: FaultyStore, local: RunFolder) -> None:
    becomes(local, stages[2])
    Mirror(local, store.remote()).push()
    local.journal_file.unlink()
    journal = local.open_journal(6)
    journal.append(0, LOSSES[1])
    journal.close()
    with pytest.raises(RunFolderError, match="are no longer the same run; move the copy away"):
        fetch(store.remote(), local)
    np.testing.assert_array_equal(local.losses(), LOSSES[1:2])
