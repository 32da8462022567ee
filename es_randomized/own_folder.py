"""The user's home, and a folder of the user's among the machine's temporary files that nobody else can enter.

What is found in the latter is trusted: Ray unpacks the code of jobs into it and runs it, and JAX loads compiled programs.
"""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from es_randomized.errors import StorageError


def own_folder(base: str | None = None) -> Path:
    """The folder, made where it is missing.

    Args:
        base: the folder it is in; the one for temporary files by default.

    Raises:
        StorageError: something of that name belongs to somebody else.
    """
    folder = Path(base or tempfile.gettempdir()) / f"es_randomized-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()  # not what a link leads to: who made the link could lead it elsewhere later
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StorageError(
            f"{folder}: should be a folder of yours, but somebody else made it; remove it, or set TMPDIR"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def home() -> Path:
    """The user's home.

    Raises:
        StorageError: neither HOME nor the list of users names it.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise StorageError(f"user {os.getuid()} has no home; set HOME to a folder you may write to") from None
