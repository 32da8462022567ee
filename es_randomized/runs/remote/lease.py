"""The lease: one machine trains what is at an address, as far as stores without locks let anyone promise that.

Who trains renews `lease.json`. Whoever comes later watches it: a lease that changes is held, one that does not is given
up. No clocks are compared. Who finds the lease gone or another's has lost it and stops. Two that take it in the same
instant may both train until the next renewal; the same experiment has the same bits, so on one kind of device that
costs time and nothing else. Conditional writes would exclude it, but pyarrow's file systems have none, and obstore, which
has, finds neither AWS profiles nor a bucket's region as they do, and cannot compare on a disk.
"""

import datetime
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from es_randomized.errors import RunFolderError, StorageError
from es_randomized.runs.remote.repeating import repeating
from es_randomized.runs.remote.store import Remote

NAME = "lease.json"
PATIENCE = 3  # renewals that a holder may miss

Holder = dict[str, object]  # who holds the lease, as lease.json has it
log = logging.getLogger(__name__)


class Lease:
    """Held while its block runs, and renewed in the background.

    Args:
        copy: identifies the local copy; a lease of this copy that nobody here holds is left from a crash.
        seconds: between renewals.
        on_lost: called, in another thread, when the lease is lost.

    Attributes:
        lost: what to tell the user once another machine has taken over.
    """

    def __init__(self, remote: Remote, copy: str, seconds: float, on_lost: Callable[[], None]) -> None:
        self._remote, self._copy, self._seconds, self._on_lost = remote, copy, seconds, on_lost
        self._renewing, self._one_at_a_time = ExitStack(), threading.Lock()
        self.lost: RunFolderError | None = None

    def __enter__(self) -> "Lease":
        """Take the lease.

        Raises:
            RunFolderError: another machine holds it.
            StorageError: the store cannot be reached or refuses.
        """
        held = self._read()
        if held and not self._is_mine(held):
            self._watch(held)
        self._write()
        self._renewing.enter_context(repeating(self.renew, self._seconds))
        return self

    def __exit__(self, *_: object) -> None:
        self._renewing.close()
        try:
            if not self.lost and self._is_mine(self._read()):
                self._remote.delete(NAME)
        except StorageError as error:
            log.warning("the lease of %s is left behind: %s", self._remote.address, error)

    def _watch(self, seen: Holder) -> None:
        wait = PATIENCE * self._seconds
        log.warning("%s was being trained by %s; watching for %.0f s", self._remote.address, _name(seen), wait)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            time.sleep(min(1.0, self._seconds))
            now = self._read()
            if now is None:
                return
            if now != seen:
                raise RunFolderError(
                    f"{self._remote.address} is being trained by {_name(now)}; wait for it, stop it there, or take over "
                    f"from it by deleting {NAME} at that address first"
                )

    def renew(self) -> None:
        """Say that this process is still there, or find out that the lease is lost."""
        with self._one_at_a_time:
            try:
                holder = self._read()
                if self._is_mine(holder):
                    self._write()
                elif not self.lost:
                    self.lost = self._taken_over(holder)
                    self._on_lost()
            except StorageError as error:
                log.info("the lease could not be renewed: %s", error)

    def _taken_over(self, holder: Holder | None) -> RunFolderError:
        by = f"taken over by {_name(holder)}" if holder else "deleted"
        return RunFolderError(
            f"the lease of {self._remote.address} was {by}, so training stopped here and brings up nothing more; "
            "to go on here, stop the other and resume"
        )

    def _is_mine(self, holder: Holder | None) -> bool:
        return bool(holder and holder.get("copy") == self._copy)

    def _read(self) -> Holder | None:
        data = self._remote.read(NAME)
        if data is None:
            return None
        try:
            return dict(json.loads(data))
        except ValueError:
            return {"damaged": str(data)}

    def _write(self) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        holder = {"copy": self._copy, "machine": platform.node(), "process": os.getpid(), "renewed": now}
        self._remote.write(NAME, json.dumps(holder, indent=2).encode())


def _name(holder: Holder) -> str:
    return f"process {holder.get('process')} on {holder.get('machine')}"
