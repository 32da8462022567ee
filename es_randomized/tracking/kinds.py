"""Which trackers a run has: TensorBoard always, others when they are asked for."""

from collections.abc import Callable, Iterable

from es_randomized.config.kinds import class_of
from es_randomized.runs.folder import RunFolder
from es_randomized.tracking.tracker import Tracker, Trackers

ALWAYS = "tensorboard"


def check_installed(kinds: Iterable[str]) -> None:
    """Raises ConfigError where a kind is no tracker, or needs a package that is not installed."""
    for kind in kinds:
        class_of("tracker", kind, "--track").check()


def trackers(
    folder: RunFolder,
    kinds: Iterable[str],
    warn: Callable[[str], None],
    more: dict[str, Callable[[], Tracker]] | None = None,
) -> Trackers:
    """Trackers of the run in `folder`: TensorBoard and the kinds asked for.

    Args:
        warn: tells the user when one fails.
        more: by name, what opens others.

    Raises:
        ConfigError: a kind is no tracker, or needs a package that is not installed.
    """
    check_installed(kinds := list(kinds))
    return Trackers({kind: _opener(kind, folder) for kind in (ALWAYS, *kinds)} | (more or {}), warn)


def _opener(kind: str, folder: RunFolder) -> Callable[[], Tracker]:
    return lambda: class_of("tracker", kind, "--track")(folder)
