"""The journal: the losses of every generation, appended as they come. With the experiment it determines the whole run.

A header with a part of the experiment's hash, and then one fixed-size record per generation: its number, its losses in id
order and a checksum. Where a strategy wants halves of the batch, their losses follow those on the whole of it. A damaged
tail is cut at the last whole record; what was cut is evaluated again.
"""

import contextlib
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.errors import RunFolderError
from es_randomized.runs.storage import saying_what_failed

MAGIC = b"ES-JRNL1"
HEADER = np.dtype([("magic", "S8"), ("population", "<u4"), ("experiment", "<u4")])


class Recorded(NamedTuple):
    """What a journal holds.

    Attributes:
        losses: of generations 0, 1, ... in order.
        damaged: bytes after the last whole record.
        experiment: of whose run it is, see identity.py; 0 in runs of before.
    """

    losses: Float[np.ndarray, "generation member"]
    damaged: int
    experiment: int


class Journal:
    """An append-only log of losses."""

    def __init__(self, path: Path, population: int, experiment: int = 0) -> None:
        """Open `path` for appending; a new file gets its header, a damaged tail is cut.

        Args:
            experiment: see `Recorded`.

        Raises:
            RunFolderError: the file is no journal of this population.
        """
        self.path, self.record = path, _record_type(population)
        if not path.exists():
            with saying_what_failed(path):
                path.write_bytes(np.array([(MAGIC, population, experiment)], HEADER).tobytes())
        recorded = read(path)
        if recorded.losses.shape[1] != population:
            raise RunFolderError(
                f"{path} records {recorded.losses.shape[1]} members per generation, but the experiment has {population}"
            )
        self.generations = len(recorded.losses)
        self._size = HEADER.itemsize + self.generations * self.record.itemsize
        self._file = os.open(path, os.O_RDWR)
        os.ftruncate(self._file, self._size)

    def append(self, generation: int, losses: Float[np.ndarray, " member"]) -> None:
        """Add the next generation's losses.

        Raises:
            ValueError: `generation` is not the next one.
            StorageError: the disk did not take it; the journal ends at the generation before.
        """
        if generation != self.generations:
            raise ValueError(f"the journal holds {self.generations} generations, so {generation} cannot come next")
        data = np.zeros(1, self.record)
        data["generation"], data["losses"] = generation, losses
        data["checksum"] = zlib.crc32(_checked(data))
        with saying_what_failed(self.path):
            try:
                written = os.pwrite(self._file, data.tobytes(), self._size)
                if written != self.record.itemsize:
                    raise OSError(28, "No space left on device")
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
        self.generations += 1
        self._size += self.record.itemsize

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._file)
        os.close(self._file)


def read(path: Path) -> Recorded:
    """All whole records of a journal; may be called while a run goes on.

    Raises:
        RunFolderError: the file is missing or no journal.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunFolderError(f"cannot read the journal {path}: {error.strerror}") from None
    header = np.frombuffer(data[: HEADER.itemsize], HEADER) if len(data) >= HEADER.itemsize else None
    if header is None or header["magic"][0] != MAGIC:
        raise RunFolderError(f"{path} is damaged at its very beginning: it does not start with {MAGIC.decode()}")
    record = _record_type(int(header["population"][0]))
    body = data[HEADER.itemsize :]
    records = np.frombuffer(body[: len(body) // record.itemsize * record.itemsize], record)
    whole = 0
    while whole < len(records) and _is_whole(records[whole : whole + 1], whole):
        whole += 1
    damaged = len(body) - whole * record.itemsize
    return Recorded(records["losses"][:whole], damaged, int(header["experiment"][0]))


def generations_in(path: Path) -> int:
    """How many records a journal has room for, by its size alone; 0 where there is none yet."""
    return _extent(path)[0]


def whole_bytes(path: Path) -> int:
    """Bytes up to the end of the last record a journal has room for; 0 where there is none yet."""
    generations, record = _extent(path)
    return HEADER.itemsize + generations * record if record else 0


def _extent(path: Path) -> tuple[int, int]:
    """How many records there is room for, and bytes of each; zeros where there is no journal yet."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        header = np.frombuffer(file.read(HEADER.itemsize), HEADER)
        body = os.fstat(file.fileno()).st_size - HEADER.itemsize
        record = _record_type(int(header["population"][0])).itemsize if len(header) else 0
        return (body // record, record) if record else (0, 0)
    return 0, 0


def _record_type(population: int) -> np.dtype:
    return np.dtype([("generation", "<u4"), ("losses", "<f4", (population,)), ("checksum", "<u4")])


def _checked(record: np.ndarray) -> bytes:
    return record.tobytes()[:-4]


def _is_whole(record: np.ndarray, generation: int) -> bool:
    return bool(record["generation"][0] == generation and record["checksum"][0] == zlib.crc32(_checked(record)))
