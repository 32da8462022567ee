"""The seam to tools that draw curves: a tracker takes rows of metrics. One that fails is given up with one warning."""

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from es_randomized.runs.folder import RunFolder

SECONDS_BETWEEN_ROWS = 1.0  # a curve has a point a second at most, and one for every check of the centre

COST = ("seconds", "device_seconds", "rollouts", "tokens", "flops")

Row = dict[str, Any]
log = logging.getLogger(__name__)


@runtime_checkable
class Tracker(Protocol):
    """Where curves go."""

    def log(self, generation: int, row: Row) -> None:
        """Take the metrics of a generation, see `runs.metrics.SCHEMA`; may raise anything."""

    def close(self) -> None:
        """Bring out what is left; may raise anything."""


class Trackers:
    """Hands rows to trackers, never more often than they need them.

    Args:
        openers: by name, what opens a tracker; it is opened with the first row.
        warn: tells the user.
    """

    def __init__(self, openers: dict[str, Callable[[], Tracker]], warn: Callable[[str], None]) -> None:
        self._closed, self._open, self._warn = dict(openers), dict[str, Tracker](), warn
        self._last = float("-inf")
        self._held_back: Row | None = None

    def __call__(self, row: Row) -> None:
        """Take the row of a generation."""
        now = time.monotonic()
        self._held_back = row
        if now - self._last >= SECONDS_BETWEEN_ROWS or row.get("held_out_average") is not None:
            self._last = now
            self._log(row)

    def close(self) -> None:
        """Hand over the last row and close all trackers."""
        if self._held_back:
            self._log(self._held_back)
        for name in list(self._open):
            self._guarded(name, self._ended)

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _log(self, row: Row) -> None:
        self._held_back = None
        for name in list(self._closed):
            self._guarded(name, self._opened)
        for name in list(self._open):
            self._guarded(name, self._logged, row)

    def _opened(self, name: str) -> None:
        self._open[name] = self._closed.pop(name)()

    def _logged(self, name: str, row: Row) -> None:
        self._open[name].log(row["generation"], row)

    def _ended(self, name: str) -> None:
        self._open.pop(name).close()

    def _guarded(self, name: str, do: Callable[..., None], *arguments: Any) -> None:
        try:
            do(name, *arguments)
        except Exception as error:  # whatever it is, a curve is not worth a run
            self._open.pop(name, None)
            reason = (str(error).strip().splitlines() or [""])[0]
            text = f"{name} gets no more metrics: {type(error).__name__}: {reason}; training goes on"
            log.warning(text)
            self._warn(text)


def named(row: Row) -> dict[str, float]:
    """The numbers of a row under the names of their curves: `loss/mean`, `held_out/worst`, `cost/rollouts`."""
    numbers = {name: float(value) for name, value in row.items() if value is not None and name != "generation"}
    return {_curve(name): value for name, value in numbers.items()}


def _curve(name: str) -> str:
    if name in COST:
        return f"cost/{name}"
    for group in ("loss", "held_out"):
        if name.startswith(f"{group}_"):
            return f"{group}/{name.removeprefix(f'{group}_')}"
    return f"loss/{name}"


def identity(folder: RunFolder) -> str:
    """The same for a run wherever it is resumed, and another one for its branches."""
    return hashlib.sha256(folder.provenance_file.read_bytes()).hexdigest()[:16]
