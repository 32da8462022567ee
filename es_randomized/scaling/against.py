"""Two measurements of `bench`, compared: what got slower, and whether that is more than their repetitions differ."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from es_randomized.errors import ConfigError, StorageError

WATCHED = {"members per second": True, "seconds of the coordinator": False, "bytes down": False, "bytes up": False}
IGNORED = (
    "seed",
    "budget",
    "evaluation",
    "plan",
)  # of an experiment: they decide about no speed, or follow from the rest


class Change(NamedTuple):
    """A number before and now, with so many workers.

    Attributes:
        factor: of the time or bytes it takes now; above 1 is worse.
        clear: whether the ranges of the repetitions do not touch.
    """

    workers: int
    what: str
    before: float
    now: float
    factor: float
    clear: bool


def read_measurement(file: Path) -> dict[str, Any]:
    """What `bench --json` wrote.

    Raises:
        StorageError: it cannot be read.
        ConfigError: it is something else.
    """
    try:
        tree = json.loads(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StorageError(f"cannot read {file}: {reason}") from None
    except ValueError:
        tree = None
    if not isinstance(tree, dict) or not {"experiment", "measured", "hardware"} <= tree.keys():
        raise ConfigError(f"{file} was not written by bench --json")
    return tree


def check_same(file: Path, before: Mapping[str, Any], experiment: Mapping[str, Any]) -> None:
    """Raises ConfigError where another experiment was measured."""
    then = before["experiment"]
    keys = (then.keys() | experiment.keys()) - set(IGNORED)
    if different := sorted(key for key in keys if then.get(key) != experiment.get(key)):
        raise ConfigError(f"{file} measured another experiment: they differ in {', '.join(different)}")


def changes(before: Mapping[Any, Any], now: Mapping[int, Any]) -> list[Change]:
    """All watched numbers of the numbers of workers that both measured; the worst first.

    Args:
        before: rows by the number of workers, which are texts in JSON.
    """
    found = []
    for workers, row in now.items():
        earlier = before.get(str(workers), {})
        for what, more_is_better in WATCHED.items():
            if what in earlier:
                found.append(_change(workers, what, earlier[what], row[what], more_is_better))
    return sorted(found, key=lambda change: -change.factor)


def _change(
    workers: int, what: str, before: Mapping[str, float], now: Mapping[str, float], more_is_better: bool
) -> Change:
    worse, better = (before["median"], now["median"]) if more_is_better else (now["median"], before["median"])
    factor = worse / better if better else float(worse == better) or float("inf")
    clear = now["high"] < before["low"] or now["low"] > before["high"]
    return Change(workers, what, before["median"], now["median"], factor, clear)
