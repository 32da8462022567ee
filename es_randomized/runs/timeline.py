"""Who computed when: for every worker and stretch of time its units, its seconds of computing, and what became of it.

A stretch is whole generations that last a second or a thousandth of the training so far, whichever is longer: a run of an
hour has some two thousand, one of a week some seven thousand. Written beside the metrics; nothing is computed from it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from es_randomized.drivers.workers import WorkerStatus
from es_randomized.runs.storage import saying_what_failed
from es_randomized.runs.table_parts import read_parts, write_part

SHORTEST, SHARE = 1.0, 1e-3  # seconds; of the training so far

SCHEMA = pa.schema(
    [
        ("worker", pa.int64()),  # in the order of joining, in one part of the run
        ("node", pa.string()),  # Ray's id of its machine
        ("pid", pa.int64()),
        ("device", pa.string()),
        ("begin", pa.float64()),  # of the stretch, or when it joined; seconds of training, as in the metrics
        ("end", pa.float64()),  # of the stretch, or when it went
        ("first_generation", pa.int64()),
        ("last_generation", pa.int64()),
        ("units", pa.int64()),  # chunks and parts of updates that it brought back
        ("busy", pa.float64()),  # seconds of computing them
        ("waited", pa.float64()),  # seconds after its last answer of a step, until the step's end
        ("workers", pa.int64()),  # that compute: 1, or those of a supervisor
        ("late", pa.int64()),  # units that were issued again because it took so long
        ("lost", pa.int64()),  # units that it had under way when it died or was given up
        ("fate", pa.string()),  # lost or left, in its last stretch
    ]
)


class Timeline:
    """Writes stretches to `folder`.

    Args:
        workers: who works now and who has gone.
        generation: the first of this part of the run.
        seconds: of training before it.
        clock: that of `WorkerStatus`.
    """

    def __init__(
        self,
        folder: Path,
        workers: Callable[[], list[WorkerStatus]],
        generation: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._workers, self._clock = folder, workers, clock
        self._origin = clock() - seconds  # of the seconds of training
        self._generation, self._begin = generation, seconds
        everybody = workers()
        self._before = {each.number: each for each in everybody if each.gone is None}
        self._over = {each.number for each in everybody if each.gone is not None}
        self._rows: list[dict[str, object]] = []

    def add(self, generation: int) -> None:
        """A generation has just ended."""
        seconds = self._clock() - self._origin
        if seconds - self._begin >= max(SHORTEST, SHARE * seconds):
            self.close(generation)

    def pause(self, seconds: float) -> None:
        """So many seconds have just passed that were no training."""
        self._origin += seconds

    def close(self, generation: int) -> None:
        """End the stretch with this generation, however short it is; nothing where no generation ended since the last."""
        if generation < self._generation:
            return
        seconds = self._clock() - self._origin
        before, self._before = self._before, {}
        for each in self._workers():
            if each.number in self._over:
                continue
            self._rows.append(self._row(each, before.get(each.number), generation, seconds))
            if each.gone is None:
                self._before[each.number] = each
            else:
                self._over.add(each.number)
        self._generation, self._begin = generation + 1, seconds

    def flush(self) -> None:
        """Write the stretches that ended since the last flush as a new part.

        Raises:
            StorageError: the disk did not take it.
        """
        if not self._rows:
            return
        with saying_what_failed(self._folder):
            self._folder.mkdir(exist_ok=True)
        write_part(self._folder / f"{self._rows[0]['first_generation']:08d}.parquet", self._rows, SCHEMA)
        self._rows = []

    def _row(
        self, now: WorkerStatus, before: WorkerStatus | None, generation: int, seconds: float
    ) -> dict[str, object]:
        fate = None if now.gone is None else "lost" if now.lost else "left"
        return {
            "worker": now.number,
            "node": now.node,
            "pid": now.pid,
            "device": now.device,
            "begin": max(self._begin, now.joined - self._origin),
            "end": seconds if now.gone is None else now.gone - self._origin,
            "first_generation": self._generation,
            "last_generation": generation,
            "units": now.units - (before.units if before else 0),
            "busy": now.busy - (before.busy if before else 0.0),
            "waited": now.waited - (before.waited if before else 0.0),
            "workers": now.workers,
            "late": now.late - (before.late if before else 0),
            "lost": now.under_way if now.lost else 0,
            "fate": fate,
        }


def read_timeline(folder: Path) -> pa.Table:
    """All stretches written so far, in order; none of runs that trained in one process."""
    parts = sorted(folder.glob("[0-9]*.parquet"))
    return read_parts(parts, SCHEMA)
