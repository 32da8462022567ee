"""A run at an address has the bits of a local one, whoever was killed, and nobody's time is wasted when the store is away."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from es_randomized import Evolution, LocalEvaluator, RunFolder
from es_randomized.errors import ConfigError, RunFolderError, StorageError
from es_randomized.runs.remote import working_copy
from es_randomized.runs.remote.store import Remote
from es_randomized.runs.restore import restore
from es_randomized.session import RunResult, run_session
from tests.tools.command import final_snapshot, wait_until
from tests.tools.faulty_store import FaultyStore
from tests.tools.tiny import tiny

ROOT = Path(__file__).parents[3]
SECONDS = 0.1
Machine = Callable[[str], None]


@pytest.fixture(scope="module")
def evolution() -> Evolution:
    return tiny()


@pytest.fixture(scope="module")
def undisturbed(evolution: Evolution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in a folder, from beginning to end."""
    folder = RunFolder(tmp_path_factory.mktemp("undisturbed") / "run")
    folder.create(evolution.experiment)
    session(folder, evolution)
    return folder.path


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment before anybody goes to a machine: with a cache that holds compiled programs."""
    return dict(os.environ)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Go to a machine: every one has its own local copies."""

    def go(name: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))

    go("here")
    return go


@pytest.fixture
def faulty(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> FaultyStore:
    """A store that every address leads to."""
    store = FaultyStore(tmp_path / "store")
    monkeypatch.setattr(Remote, "at", lambda _: store.remote())
    return store


def session(folder: RunFolder, evolution: Evolution, on_row: Callable[[object], None] = lambda _: None) -> RunResult:
    return run_session(folder, evolution, LocalEvaluator(evolution), on_row)


def assert_same(folder: RunFolder, other: Path) -> None:
    assert folder.journal_file.read_bytes() == (other / "journal.bin").read_bytes()
    assert final_snapshot(folder.path) == final_snapshot(other)


@pytest.mark.long
def test_killed_and_gone_on_elsewhere(
    environment: dict[str, str], undisturbed: Path, evolution: Evolution, machine: Machine, tmp_path: Path
) -> None:
    store = tmp_path / "bucket" / "run"
    address = store.as_uri()
    process = subprocess.Popen([sys.executable, "-m", "tests.tools.train_at", address], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: any(store.glob("snapshots/0*")) or process.poll(), "a snapshot at the address")
    finally:
        process.kill()
        process.wait()
    machine("there")
    with working_copy.training(address, SECONDS) as folder:
        assert 0 < restore(folder, evolution)[0] < 12
        assert list(folder.snapshots.iterdir())
        session(folder, evolution)
    machine("a third one")
    with working_copy.reading(address) as folder:
        assert_same(folder, undisturbed)


def test_the_store_is_away_for_a_while(
    faulty: FaultyStore,
    undisturbed: Path,
    evolution: Evolution,
    machine: Machine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail_from_the_third_to_the_ninth(row: dict[str, int]) -> None:
        if row["generation"] == 3:
            faulty.left = 0
        if row["generation"] == 9:
            wait_until(lambda: "training goes on here" in caplog.text, "a push that fails")
            faulty.left = None
            wait_until(lambda: "the store is back" in caplog.text, "a push that works")

    with working_copy.new_run("faulty://run", SECONDS) as folder:
        folder.create(evolution.experiment)
        session(folder, evolution, fail_from_the_third_to_the_ninth)
    assert caplog.text.count("training goes on here") == 1
    machine("there")
    with working_copy.reading("faulty://run") as folder:
        assert_same(folder, undisturbed)


def test_the_store_does_not_come_back(
    faulty: FaultyStore, undisturbed: Path, evolution: Evolution, machine: Machine
) -> None:
    def fail(row: dict[str, int]) -> None:
        faulty.left = 0 if row["generation"] >= 3 else None

    def train() -> None:
        with working_copy.new_run("faulty://run", 1000.0) as folder:
            folder.create(evolution.experiment)
            session(folder, evolution, fail)

    with pytest.raises(StorageError) as raised:
        train()
    copy = working_copy.copy_of("faulty://run")
    assert f"everything is in {copy.path}, and es-randomized resume faulty://run brings it up" in str(raised.value)
    assert_same(copy, undisturbed)
    faulty.left = None
    assert "experiment.yaml" not in faulty.remote().names()
    with working_copy.training("faulty://run", 1000.0):  # without waiting: the lease left behind is this copy's
        pass
    machine("there")
    with working_copy.reading("faulty://run") as folder:
        assert_same(folder, undisturbed)


def test_another_machine_takes_over(faulty: FaultyStore, evolution: Evolution) -> None:
    sessions = []

    def replace_lease(row: dict[str, int]) -> None:
        if row["generation"] == 2:
            faulty.remote().write("lease.json", b'{"copy": "other", "machine": "other", "process": 1}')
        time.sleep(2 * SECONDS)

    def train() -> None:
        with working_copy.new_run("faulty://run", SECONDS) as folder:
            folder.create(evolution.experiment)
            sessions.append(session(folder, evolution, replace_lease))

    with pytest.raises(RunFolderError, match="was taken over by process 1 on other, so training stopped here"):
        train()
    assert sessions[0].reason == "interrupted"
    assert sessions[0].generation < 12
    assert b"other" in (faulty.remote().read("lease.json") or b"")


def test_two_on_one_machine(faulty: FaultyStore, evolution: Evolution, undisturbed: Path) -> None:
    with working_copy.new_run("faulty://run", 1000.0) as folder:
        folder.create(evolution.experiment)
        shutil.copytree(undisturbed, folder.path, dirs_exist_ok=True)
        faulty.remote().write("experiment.yaml", folder.experiment_file.read_bytes())
        with pytest.raises(RunFolderError, match="another process is training"), working_copy.training("faulty://run"):
            pass
        with working_copy.reading("faulty://run", results=True) as same:  # the copy is newer than what is there
            assert_same(same, undisturbed)
            same.evaluation_file.write_text("{}")
        assert faulty.remote().read("evaluation.json") == b"{}"


def test_what_is_in_the_way(faulty: FaultyStore, evolution: Evolution, machine: Machine) -> None:
    def new() -> None:
        with working_copy.new_run("faulty://run", 1000.0) as folder:
            folder.create(evolution.experiment)

    with pytest.raises(RunFolderError, match="there is no run at faulty://run"), working_copy.reading("faulty://run"):
        pass
    faulty.remote().write("notes/a.txt", b"mine")
    with pytest.raises(RunFolderError, match=r"no run but 1 other files, such as notes/a\.txt"):
        new()
    faulty.remote().delete("notes/a.txt")
    new()
    with pytest.raises(
        RunFolderError, match="already holds a run; continue it with `es-randomized resume faulty://run`"
    ):
        new()
    for name in faulty.remote().names():
        faulty.remote().delete(name)
    with pytest.raises(RunFolderError, match="there is no run at faulty://run any more, but a copy of one in"):
        new()
    machine("there")
    new()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s4://bucket/run", "Unrecognized filesystem type .* addresses look like s3://bucket/folder"),
        ("file://run", "addresses look like s3://bucket/folder"),
        ("s3://key:secret@bucket/run", "must not hold a password; use AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_is_no_address(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        Remote.at(address)
    assert "secret" not in str(raised.value)


def test_a_folder_that_cannot_be_written(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    address = (tmp_path / "file" / "run").as_uri()
    with pytest.raises(StorageError, match="Check the address"), working_copy.new_run(address):
        raise AssertionError("this block must not begin")
