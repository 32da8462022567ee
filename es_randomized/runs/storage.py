"""Files that are either whole or absent, and one clear message when the disk does not take them."""

import errno
import os
import re
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from es_randomized.errors import StorageError

LEFTOVER = re.compile(r"\.[^.].*\.[a-z0-9_]{8}")  # as mkstemp names them below
OLD = 3600.0  # seconds
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a crash, meets the old file or the new one and nothing between.

    Raises:
        StorageError: the file could not be written; an old file is untouched.
    """
    with saying_what_failed(path), _written_beside(path, data) as temporary:
        os.replace(temporary, path)


def write_new(path: Path, data: bytes) -> None:
    """The same where there is no file yet: whoever comes first makes it, and everybody else is told.

    Raises:
        FileExistsError: there is one.
        StorageError: the file could not be written.
    """
    with saying_what_failed(path, unless=FileExistsError), _written_beside(path, data) as temporary:
        os.link(temporary, path)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files that a process left which was killed while it wrote, long enough ago that none is in use."""
    for path in folder.rglob(".*"):
        with suppress(OSError):
            if LEFTOVER.fullmatch(path.name) and time.time() - path.stat().st_mtime > OLD:
                path.unlink()


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A temporary file beside `path` that is on the disk, and gone when the block ends."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def saying_what_failed(path: Path, unless: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError` that names the file and what to do.

    Args:
        unless: errors that stay what they are.
    """
    try:
        yield
    except unless:
        raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {_reason(error)}. {_advice(path)}") from error


def _reason(error: OSError) -> str:
    if error.errno in NO_LOCKS:
        return f"its file system refuses locks ({error.strerror})"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"a file stands in the way ({error.strerror})"
    return error.strerror or str(error)


def _advice(path: Path) -> str:
    """What is true of the run that a file belongs to, if there is one yet."""
    run = _run_of(path)
    with suppress(OSError):
        if (run / "journal.bin").exists():
            return (
                "Everything up to the last whole generation is kept; make room (or write permission) and continue with: "
                f"es-randomized resume {shlex.quote(str(run))}"
            )
    return "Make room (or write permission), or choose another place"


def _run_of(path: Path) -> Path:
    return path.parent.parent if path.parent.name in ("snapshots", "metrics", "workers") else path.parent
