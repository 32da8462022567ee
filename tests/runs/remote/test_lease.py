"""One machine trains what is at an address, and whoever is too late or too slow is told so."""

import json
import threading
from pathlib import Path

import pytest

from es_randomized.errors import RunFolderError, StorageError
from es_randomized.runs.remote.lease import NAME, Lease
from tests.tools.command import wait_until
from tests.tools.faulty_store import FaultyStore

SECONDS = 0.05


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    return FaultyStore(tmp_path / "store")


def lease(store: FaultyStore, copy: str, lost: threading.Event | None = None, seconds: float = SECONDS) -> Lease:
    return Lease(store.remote(), copy, seconds, (lost or threading.Event()).set)


def test_it_is_held_and_given_back(store: FaultyStore) -> None:
    with lease(store, "here"):
        assert store.remote().read(NAME)
        message = r"is being trained by process \d+ on .*deleting lease.json"
        with pytest.raises(RunFolderError, match=message), lease(store, "there", seconds=10 * SECONDS):
            pass
        assert store.remote().read(NAME)
    assert store.remote().read(NAME) is None
    with lease(store, "there"):
        pass


def test_what_a_crash_left_is_taken(store: FaultyStore) -> None:
    lease(store, "here", seconds=1e6)._write()
    with lease(store, "there"):
        assert b"there" in (store.remote().read(NAME) or b"")


def test_a_crash_of_this_copy_needs_no_waiting(store: FaultyStore) -> None:
    lease(store, "here", seconds=1e6)._write()
    with lease(store, "here", seconds=1e6):
        assert json.loads(store.remote().read(NAME))["copy"] == "here"


@pytest.mark.parametrize("how", ["taken over", "deleted"])
def test_who_lost_it_stops_and_leaves_it_alone(how: str, store: FaultyStore) -> None:
    lost = threading.Event()
    with lease(store, "here", lost) as held:
        while not lost.wait(2 * SECONDS):  # it may have been about to renew it
            if how == "deleted":
                store.remote().delete(NAME)
            else:
                lease(store, "there")._write()
        assert how in str(held.lost)
    assert (store.remote().read(NAME) is None) == (how == "deleted")


def test_a_store_that_is_away_is_no_loss(store: FaultyStore) -> None:
    lost = threading.Event()
    with lease(store, "here", lost) as held:
        store.left = 0
        before = len(store.written)
        assert not lost.wait(5 * SECONDS)
        store.left = None
        wait_until(lambda: len(store.written) > before, "the next renewal")
        assert not held.lost
    store.left = 0
    with pytest.raises(StorageError, match="the store is away"), lease(store, "here"):
        pass
