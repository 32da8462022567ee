"""Cores of its own for every worker: claims are file locks, so the kernel frees a core however its worker dies."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO


def claim_cores(folder: Path, count: int) -> dict[int, IO[str]] | None:
    """Pin this process to `count` cores nobody else claimed in `folder`; None, and nothing claimed, where too few are left.

    Call it before JAX is imported: its thread pools take the cores they find at that moment. The claims last as long as the
    returned files stay open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claimed: dict[int, IO[str]] = {}
    for core in sorted(os.sched_getaffinity(0)):
        file: IO[str] = open(folder / f"core-{core}.lock", "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        claimed[core] = file
        if len(claimed) == count:
            os.sched_setaffinity(0, set(claimed))
            return claimed
    for file in claimed.values():
        file.close()
    return None


def claims_folder(session: str) -> Path:
    """Where the workers of one cluster session on this machine claim cores."""
    return Path(tempfile.gettempdir()) / f"es_randomized-{os.getuid()}" / session
