"""The mirror: keeps an address up to date with a run folder that somebody is writing.

At every moment what is there is the run as it was at some moment: the journal reaches at least as far as the snapshot
needs, the snapshot goes only when a newer one is there, and experiment.yaml, which makes it a run, comes last.

journal/<first byte>-<end>   pieces of the journal   snapshots/   the newest   everything else   as in the run folder
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import whole_bytes
from es_randomized.runs.remote.pieces import chain, next_piece, pieces_in
from es_randomized.runs.remote.store import Remote

RESULTS = ("evaluation*", "picture.png")  # what `evaluate` writes


class Mirror:
    """Copies up what changed in `folder`, which may be written meanwhile."""

    def __init__(self, folder: RunFolder, remote: Remote) -> None:
        self._folder, self._remote = folder, remote
        self._there = remote.names()
        self._sent: dict[str, tuple[int, int]] = {}  # size and time of files as they were when they were copied

    def push(self) -> None:
        """Copy up what changed since the last push.

        Raises:
            StorageError: the store cannot be reached or refuses; the next push goes on from there.
        """
        folder = self._folder
        snapshot = self._new_snapshot()  # read before the journal is measured: the journal then reaches as far
        self._put(folder.provenance_file)
        self._put(folder.start_file)
        self._put_journal()
        for parts in (folder.metrics, folder.workers):
            self._put_parts(parts)
        if snapshot:  # after the metrics: checks that they lack are found again from an older one
            self._put_snapshot(*snapshot)
        self._put(folder.log_file)
        self.push_results()
        self._put(folder.experiment_file)

    def push_results(self) -> None:
        """Copy up what `evaluate` wrote, and nothing else.

        Raises:
            StorageError: the store cannot be reached or refuses.
        """
        for pattern in RESULTS:
            for path in sorted(self._folder.path.glob(pattern)):
                self._put(path)

    def _put(self, path: Path) -> None:
        """Copy one file, if it changed and is (still) there."""
        name = path.relative_to(self._folder.path).as_posix()
        with suppress(FileNotFoundError):
            now = path.stat()
            if self._sent.get(name) != (state := (now.st_size, now.st_mtime_ns)):
                self._write(name, path.read_bytes())
                self._sent[name] = state

    def _put_journal(self) -> None:
        size = whole_bytes(self._folder.journal_file)
        if not size:
            return
        known = self._below("journal/")
        held = chain(piece for piece in pieces_in(known) if piece.end <= size)  # beyond it was a tail that was cut
        if not held or held[-1].end < size:
            new = next_piece(held, size)
            with open(self._folder.journal_file, "rb") as file:
                file.seek(new.start)
                self._write(f"journal/{new.name}", file.read(new.end - new.start))
            held = chain([*held, new])
        self._delete(f"journal/{old}" for old in known if old not in {piece.name for piece in held})

    def _new_snapshot(self) -> tuple[str, bytes] | None:
        """Name and content of the newest snapshot, unless one as new is there already."""
        known = self._below("snapshots/")
        while paths := sorted(self._folder.snapshots.glob("[0-9]*.safetensors")):
            newest = paths[-1]
            with suppress(FileNotFoundError):  # two newer ones were saved in this moment
                if known and (newest.name < max(known) or newest.stat().st_size == known.get(newest.name)):
                    return None
                return newest.name, newest.read_bytes()
        return None

    def _put_snapshot(self, name: str, content: bytes) -> None:
        self._write(f"snapshots/{name}", content)
        self._delete(f"snapshots/{old}" for old in self._below("snapshots/") if old != name)

    def _put_parts(self, folder: Path) -> None:
        parts = sorted(folder.glob("[0-9]*.parquet"))
        for part in parts:
            self._put(part)
        names = {part.name for part in parts}
        self._delete(f"{folder.name}/{old}" for old in self._below(f"{folder.name}/") if old not in names)

    def _below(self, folder: str) -> dict[str, int]:
        sizes = self._there.items()
        return {name.removeprefix(folder): size for name, size in sizes if name.startswith(folder)}

    def _write(self, name: str, data: bytes) -> None:
        self._remote.write(name, data)
        self._there[name] = len(data)

    def _delete(self, names: Iterable[str]) -> None:
        for name in list(names):
            self._remote.delete(name)
            del self._there[name]
