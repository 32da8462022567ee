"""One core per worker: claims are file locks, so the kernel frees the core of a worker that dies, however it dies."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO


def claim_core(folder: Path) -> tuple[int, IO[str]] | None:
    """Pin this process to a core nobody else claimed in `folder`; None where all are taken.

    Call it before JAX is imported: its thread pools take the cores they find at that moment. The claim lasts as long as
    the returned file stays open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for core in sorted(os.sched_getaffinity(0)):
        file = open(folder / f"core-{core}.lock", "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        os.sched_setaffinity(0, {core})
        return core, file
    return None


def claims_folder(session: str) -> Path:
    """Where the workers of one cluster session on this machine claim cores."""
    return Path(tempfile.gettempdir()) / f"es_randomized-{os.getuid()}" / session
