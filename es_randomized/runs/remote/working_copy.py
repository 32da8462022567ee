"""Runs at addresses: a run folder on this machine that is fetched from there and mirrored back.

The copy is an honest run folder, in the user's cache. Trained further than what is there, because the store was away, it
goes on from where it is.
"""

import _thread
import hashlib
import logging
import re
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from es_randomized.compilation import default_cache
from es_randomized.errors import RunFolderError, StorageError
from es_randomized.runs.folder import InUseError, RunFolder
from es_randomized.runs.remote import lease
from es_randomized.runs.remote.fetch import fetch
from es_randomized.runs.remote.lease import Lease
from es_randomized.runs.remote.mirror import Mirror
from es_randomized.runs.remote.repeating import repeating
from es_randomized.runs.remote.store import Remote
from es_randomized.runs.storage import write_atomically

SECONDS = 10.0  # between pushes, and between renewals of the lease
OWNER = ".copy"
BEFORE_A_RUN = {
    lease.NAME,
    "provenance.json",
    "start.safetensors",
}  # what a first push that was cut short may have left

log = logging.getLogger(__name__)


def copy_of(address: str) -> RunFolder:
    """The folder on this machine for the run at an address."""
    readable = re.sub(r"\W+", "-", address.partition("?")[0]).strip("-")
    name = f"{readable[-80:]}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    return RunFolder(default_cache("runs") / name, shlex.quote(address))


@contextmanager
def new_run(address: str, seconds: float = SECONDS) -> Iterator[RunFolder]:
    """A folder to make a run in that shall be at `address`; what the block writes there is brought up.

    Raises:
        RunFolderError: there is a run already, or something else.
        StorageError: the store cannot be reached or refuses, before the block begins or when all is done.
    """
    with _mirrored(address, _refuse_existing, seconds) as folder:
        yield folder


@contextmanager
def training(address: str, seconds: float = SECONDS) -> Iterator[RunFolder]:
    """The folder of the run at `address`, to go on with; what the block writes there is brought up.

    Raises:
        RunFolderError: there is no run, or another machine trains it.
        StorageError: the store cannot be reached or refuses, before the block begins or when all is done.
    """
    with _mirrored(address, _check_exists, seconds) as folder:
        yield folder


@contextmanager
def reading(address: str, results: bool = False) -> Iterator[RunFolder]:
    """A folder with the run at `address` as it is now; may be used while the run trains, here or elsewhere.

    Args:
        results: bring up what the block's evaluation writes.

    Raises:
        RunFolderError: there is no run.
        StorageError: the store cannot be reached or refuses.
    """
    remote, folder = Remote.at(address), copy_of(address)
    _check_exists(remote, folder)
    try:
        with _owned(folder):
            _fetch(remote, folder)
    except InUseError:
        log.info("%s is newer than what is at %s: it is being trained", folder.path, address)
    yield folder
    if results:
        _finish(Mirror(folder, remote).push_results, folder, "evaluate")


@contextmanager
def _mirrored(address: str, check: Callable[[Remote, RunFolder], None], seconds: float) -> Iterator[RunFolder]:
    remote, folder = Remote.at(address), copy_of(address)
    check(remote, folder)
    with _owned(folder) as copy, Lease(remote, copy, seconds, _thread.interrupt_main) as held:
        _fetch(remote, folder)
        mirror = Mirror(folder, remote)
        try:
            with repeating(_patient(mirror, held), seconds):
                yield folder
        except BaseException as error:
            if held.lost:
                raise held.lost from None
            if isinstance(error, Exception):
                _patient(mirror, held)()
            raise
        held.renew()
        if held.lost:
            raise held.lost
        _finish(mirror.push, folder, "resume")


def _patient(mirror: Mirror, held: Lease) -> Callable[[], None]:
    """A push for somebody who keeps this lease and comes again; it warns where the store is away, once."""
    away: list[StorageError] = []

    def push() -> None:
        held.renew()
        if held.lost:
            return
        try:
            mirror.push()
            if away:
                log.warning("the store is back")
                away.clear()
        except StorageError as error:
            if not away:
                log.warning("%s; training goes on here, and what is missing there is brought up later", error)
            away[:] = [error]

    return push


def _finish(push: Callable[[], None], folder: RunFolder, command: str) -> None:
    try:
        push()
    except StorageError as error:
        raise StorageError(
            f"{error}. Nothing is lost: everything is in {folder.path}, and es-randomized {command} {folder.name} brings it "
            "up from this machine when the store is back"
        ) from error


def _fetch(remote: Remote, folder: RunFolder) -> None:
    if folder.experiment_file.name in remote.names():
        fetch(remote, folder)


def _check_exists(remote: Remote, folder: RunFolder) -> None:
    if folder.experiment_file.name not in remote.names() and not folder.experiment_file.exists():
        raise RunFolderError(f"there is no run at {remote.address}: it has no experiment.yaml; runs are made by train")


def _refuse_existing(remote: Remote, folder: RunFolder) -> None:
    there = remote.names()
    if folder.experiment_file.name in there:
        raise RunFolderError(
            f"{remote.address} already holds a run; continue it with `es-randomized resume {folder.name}` or choose another "
            "address with --run"
        )
    if strange := sorted(set(there) - BEFORE_A_RUN):
        raise RunFolderError(
            f"{remote.address} holds no run but {len(strange)} other files, such as {strange[0]}; choose another address "
            "with --run or delete them"
        )
    if folder.experiment_file.exists():
        raise RunFolderError(
            f"there is no run at {remote.address} any more, but a copy of one in {folder.path}; bring it back with "
            f"`es-randomized resume {folder.name}`, or delete it"
        )


@contextmanager
def _owned(folder: RunFolder) -> Iterator[str]:
    """Keep other processes from this copy; gives the copy's identity.

    Raises:
        InUseError: another process trains it.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.lock(f"{OWNER}.lock"):
        owner = folder.path / OWNER
        if not owner.exists():
            write_atomically(owner, uuid.uuid4().hex.encode())
        yield owner.read_text()
