"""Metrics: one row per generation, as Parquet that can be read while the run goes on.

Every flush adds a part; a run that starts again first merges the parts and fills in, from the journal, rows that a crash
kept from being written. Read the folder as one dataset: `pyarrow.parquet.read_table(folder)`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from es_randomized.drivers.ledger import Cost
from es_randomized.runs.table_parts import read_parts, write_part

MetricsRow = dict[str, Any]  # a row of SCHEMA

SCHEMA = pa.schema(
    [
        ("generation", pa.int64()),
        ("seconds", pa.float64()),  # of training, the parts of a resumed run added up
        ("device_seconds", pa.float64()),  # the same times the devices that trained
        ("rollouts", pa.int64()),  # the ledger: all that training has cost so far
        ("tokens", pa.int64()),
        ("flops", pa.float64()),  # a long run passes 2^63
        ("loss_mean", pa.float64()),
        ("loss_best", pa.float64()),
        ("loss_std", pa.float64()),
        ("non_finite", pa.int64()),
        ("held_out_average", pa.float64()),  # of the centre, the task's measure; null between checks
        ("held_out_p95", pa.float64()),
        ("held_out_worst", pa.float64()),
    ]
)

NO_CHECKS: Mapping[int, dict[str, float]] = MappingProxyType({})


class Metrics:
    """Writes rows to `folder`, continuing after the generations in `losses`, which the journal holds.

    Args:
        losses: of the members of every generation so far.
        cost_of: what so many generations from the first one on cost.
        devices: that train from now on.
        checks: of generations whose rows were lost.

    Attributes:
        seconds, device_seconds: of earlier parts of the run.
        checks: the rows with held-out checks, in order.
    """

    def __init__(
        self,
        folder: Path,
        losses: Sequence[Float[np.ndarray, " _member"]],
        cost_of: Callable[[int], Cost],
        devices: int,
        checks: Mapping[int, dict[str, float]] = NO_CHECKS,
    ) -> None:
        self.folder, self._cost_of, self._devices = folder, cost_of, devices
        known = {row["generation"]: row for row in read_metrics(folder).to_pylist()}
        self._rows: list[MetricsRow] = []
        self.seconds = self.device_seconds = 0.0
        for generation, recorded in enumerate(losses):
            row = known.get(generation) or self._row(generation, recorded, 0.0) | checks.get(generation, {})
            self.seconds, self.device_seconds = row["seconds"], row["device_seconds"]
            self._rows.append(row)
        self.checks = [row for row in self._rows if row.get("held_out_average") is not None]
        merged, parts = bool(self._rows), _parts(folder)
        self.flush()  # before the parts it takes up are gone: who reads meanwhile never misses a row
        for part in parts:
            if not merged or int(part.stem):
                part.unlink()

    def add(
        self, generation: int, losses: Float[np.ndarray, " member"], seconds: float, check: dict[str, float]
    ) -> MetricsRow:
        """Add and return the row of one generation; it is on disk after the next `flush`.

        Args:
            seconds: of training in this part of the run.
            check: success of the centre on held-out draws, where it was looked at.
        """
        row = self._row(generation, losses, seconds) | check
        self._rows.append(row)
        if check:
            self.checks.append(row)
        return row

    def flush(self) -> None:
        """Write the rows added since the last flush as a new part.

        Raises:
            StorageError: the disk did not take it.
        """
        if not self._rows:
            return
        write_part(self.folder / f"{self._rows[0]['generation']:08d}.parquet", self._rows, SCHEMA)
        self._rows = []

    def _row(self, generation: int, losses: Float[np.ndarray, " member"], seconds: float) -> MetricsRow:
        time = {"seconds": self.seconds + seconds, "device_seconds": self.device_seconds + seconds * self._devices}
        return {"generation": generation} | time | ledger(self._cost_of(generation + 1)) | summary(losses)


def ledger(cost: Cost) -> MetricsRow:
    """The columns of what all generations so far have cost."""
    return {"rollouts": cost.rollouts, "tokens": cost.tokens, "flops": float(cost.flops)}


def summary(losses: Float[np.ndarray, " member"]) -> MetricsRow:
    """The losses of one generation in four numbers."""
    finite = losses[np.isfinite(losses)]
    with np.errstate(over="ignore"):
        mean = finite.mean()
    return {
        "loss_mean": float(mean if np.isfinite(mean) else finite.mean(dtype=float)),
        "loss_best": float(finite.min()),
        "loss_std": float(finite.std(dtype=float)),
        "non_finite": len(losses) - len(finite),
    }


def read_metrics(folder: Path) -> pa.Table:
    """All rows written so far, in order, without those of parts that are damaged."""
    table = read_parts(_parts(folder), SCHEMA)
    numbers = table["generation"].to_numpy()
    before = np.maximum.accumulate(np.concatenate([[-1], numbers]))[:-1]
    return table.filter(pa.array(numbers > before))  # of parts that were merged and are not deleted yet


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.parquet"))
