"""Cores of its own for every worker: claims are locked files, so the kernel frees a core however its worker dies."""

import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout


def claim_cores(folder: Path, count: int) -> dict[int, FileLock] | None:
    """Pin this process to `count` cores nobody else claimed in `folder`; None, and nothing claimed, where too few are left.

    Call it before JAX is imported: its thread pools take the cores they find at that moment. The claims last as long as the
    returned locks are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claimed: dict[int, FileLock] = {}
    for core in sorted(os.sched_getaffinity(0)):
        lock = FileLock(folder / f"core-{core}.lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            continue
        claimed[core] = lock
        if len(claimed) == count:
            os.sched_setaffinity(0, set(claimed))
            return claimed
    for lock in claimed.values():
        lock.release()
    return None


def claims_folder(session: str) -> Path:
    """Where the workers of one cluster session on this machine claim cores."""
    return Path(tempfile.gettempdir()) / f"es_randomized-{os.getuid()}" / session
