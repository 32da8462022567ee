"""Cores of its own for every worker: claims are locked files, so the kernel frees a core however its worker dies.

They hold for all runs of a user on a machine: a second one takes cores that are free, or none.
"""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from es_randomized.own_folder import own_folder


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


def claims_folder(turn: str = "") -> Path:
    """Where all processes of this user on this machine claim cores, whatever run or cluster they belong to.

    Args:
        turn: those with different names here may hold the same cores, if they take turns.
    """
    return own_folder() / "cores" / turn
