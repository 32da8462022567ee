"""Folders of runs to be made: a name nobody else has, and nothing left where nothing came of it."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import generations_in
from es_randomized.runs.storage import saying_what_failed


def unused(parent: Path, name: str) -> Path:
    """A new, empty folder called `name`, or `name-2` and so on; no other process gets the same one.

    Raises:
        StorageError: it cannot be written.
    """
    with saying_what_failed(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = parent / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                path.mkdir()
                return path
    raise AssertionError("numbers do not end")


@contextmanager
def gone_if_nothing_came(run: RunFolder) -> Iterator[None]:
    """Remove a run whose block raises before its first generation is done. A folder that held something before stays."""
    there = run.path.is_dir() and any(run.path.iterdir())
    try:
        yield
    except BaseException:
        if not there and not generations_in(run.journal_file):
            shutil.rmtree(run.path, ignore_errors=True)
        raise
