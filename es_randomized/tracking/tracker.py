"""The seam to tools that draw curves: a tracker takes rows of metrics. One that fails is given up with one warning."""

import hashlib
import importlib.util
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from es_randomized.errors import ConfigError
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import MetricsRow

SECONDS_BETWEEN_ROWS = 1.0  # a curve has a point a second at most, and one for every check of the centre

COST = ("seconds", "device_seconds", "rollouts", "tokens", "flops")

log = logging.getLogger(__name__)


class Tracker(ABC):
    """Where curves go: a class of its own for every tool, made with the folder of the run when its first row comes."""

    def __init__(self, folder: RunFolder) -> None:
        """Begin, or go on with, the curves of the run in `folder`; may raise anything."""

    @classmethod
    def check(cls) -> None:
        """Called before training.

        Raises:
            ConfigError: something that it needs is missing here.
        """

    @abstractmethod
    def log(self, generation: int, row: MetricsRow) -> None:
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
        self._held_back: MetricsRow | None = None

    def __call__(self, row: MetricsRow) -> None:
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
            with self._given_up_on_errors(name):
                self._open.pop(name).close()

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log(self, row: MetricsRow) -> None:
        self._held_back = None
        for name in list(self._closed):
            with self._given_up_on_errors(name):
                self._open[name] = self._closed.pop(name)()
        for name in list(self._open):
            with self._given_up_on_errors(name):
                self._open[name].log(row["generation"], row)

    @contextmanager
    def _given_up_on_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is, a curve is not worth a run
            self._open.pop(name, None)
            reason = (str(error).strip().splitlines() or [""])[0]
            text = f"{name} gets no more metrics: {type(error).__name__}: {reason}; training goes on"
            log.warning(text)
            self._warn(text)


def named(row: MetricsRow) -> dict[str, float]:
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


def check_package(name: str) -> None:
    """Raises ConfigError where a package that is an extra of this one is not installed."""
    if importlib.util.find_spec(name) is None:
        raise ConfigError(f"--track {name} needs a package more: pip install 'es-randomized[{name}]'")
