"""Fetch a run from an address into a run folder, also while another machine trains it."""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from es_randomized.errors import RunFolderError, StorageError
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import read
from es_randomized.runs.remote.mirror import RESULTS
from es_randomized.runs.remote.pieces import chain, joined, pieces_in
from es_randomized.runs.remote.store import Remote
from es_randomized.runs.storage import saying_what_failed

TRIES = 5
AT_ONCE = 8
INCOMING = ".incoming"
# What a run consists of; whatever else somebody may have put there stays there.
KNOWN = re.compile(r"snapshots/\d+\.safetensors|(?:metrics|workers)/\d+\.parquet|journal/\d+-\d+|[a-z][\w-]*\.[a-z]+")


def fetch(remote: Remote, folder: RunFolder) -> None:
    """Bring `folder` up to what is at `remote`, unless it holds the same run further on.

    Raises:
        RunFolderError: it holds another run, or the same one with other losses, or is being trained.
        StorageError: the store cannot be reached, or this disk is full.
    """
    incoming = RunFolder(folder.path / INCOMING)
    with folder.lock(), saying_what_failed(folder.journal_file):
        try:
            _download(remote, incoming)
            if _is_further(folder, incoming, remote.address):
                _move(_results(incoming), incoming, folder)
            else:
                _replace(folder, incoming)
        finally:
            shutil.rmtree(incoming.path, ignore_errors=True)


def _download(remote: Remote, target: RunFolder) -> None:
    for _ in range(TRIES):
        shutil.rmtree(target.path, ignore_errors=True)
        if _download_as_listed(remote, target.path):
            return
    raise StorageError(f"{remote.address} changes faster than it can be read from here; try again when it rests")


def _download_as_listed(remote: Remote, target: Path) -> bool:
    """Copy everything; False where something was replaced after it was listed."""
    snapshots = remote.names("snapshots")  # before the journal is listed, which then reaches as far as they need
    others = {name: size for name, size in remote.names().items() if not name.startswith("snapshots/")}
    journal = {name.removeprefix("journal/"): size for name, size in others.items() if name.startswith("journal/")}
    pieces = chain(pieces_in(journal))
    rest = [name for name in (*snapshots, *others) if KNOWN.fullmatch(name) and not name.startswith("journal/")]
    for folder in ("snapshots", "metrics", "workers"):
        (target / folder).mkdir(parents=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, content in zip(rest, pool.map(remote.read, rest), strict=True):
            if content is None:
                return False
            (target / name).write_bytes(content)
        contents = list(pool.map(lambda piece: remote.read(f"journal/{piece.name}"), pieces))
    if None in contents:
        return False
    if pieces:
        with open(target / "journal.bin", "wb") as file:
            file.writelines(joined(pieces, [content for content in contents if content is not None]))
    return True


def _is_further(ours: RunFolder, theirs: RunFolder, address: str) -> bool:
    """Whether our folder holds the same run with at least as many generations.

    Raises:
        RunFolderError: it holds another one.
    """
    if not ours.experiment_file.exists():
        return False
    same = ours.experiment_file.read_bytes() == theirs.experiment_file.read_bytes()
    own, there = _losses(ours), _losses(theirs)
    both = min(len(own), len(there))
    if not same or own[:both].tobytes() != there[:both].tobytes():
        raise RunFolderError(
            f"{ours.path}, the copy of {address} on this machine, and what is there now are no longer the same run; move the "
            "copy away to go on from what is there"
        )
    return len(own) > 0 and len(own) >= len(there)


def _losses(folder: RunFolder) -> np.ndarray:
    return read(folder.journal_file).losses if folder.journal_file.exists() else np.zeros((0, 0), np.float32)


def _replace(folder: RunFolder, incoming: RunFolder) -> None:
    """Put everything in its place. Until the journal, which comes last but one, is there, the next fetch begins anew."""
    for part in (folder.snapshots, folder.metrics, folder.workers):
        shutil.rmtree(part, ignore_errors=True)
    last = [incoming.journal_file, incoming.experiment_file]
    _move([path for path in incoming.path.iterdir() if path not in last], incoming, folder)
    _move([path for path in last if path.exists()], incoming, folder)


def _move(paths: list[Path], incoming: RunFolder, folder: RunFolder) -> None:
    for path in paths:
        os.replace(path, folder.path / path.relative_to(incoming.path))


def _results(folder: RunFolder) -> list[Path]:
    return [path for pattern in RESULTS for path in folder.path.glob(pattern)]
