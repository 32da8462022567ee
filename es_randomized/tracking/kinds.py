"""Which trackers a run has: TensorBoard always, others when they are asked for and installed."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable

from es_randomized.errors import ConfigError
from es_randomized.runs.folder import RunFolder
from es_randomized.tracking.tracker import Tracker, Trackers

EXTRAS = {"wandb": "WeightsAndBiases", "mlflow": "MLflow"}  # by the name of package, extra and module here


def check_installed(extras: Iterable[str]) -> None:
    """Raises ConfigError where the package of an extra is missing."""
    for name in extras:
        _check_installed(name)


def trackers(
    folder: RunFolder, extras: Iterable[str], warn: Callable[[str], None], more: dict[str, Callable[[], Tracker]]
) -> Trackers:
    """Trackers of the run in `folder`.

    Args:
        extras: keys of `EXTRAS`.
        warn: tells the user when one fails.
        more: by name, what opens others.

    Raises:
        ConfigError: the package of an extra is not installed.
    """
    asked = {name: _extra(name, folder) for name in dict.fromkeys(extras)}
    return Trackers({"tensorboard": _tensorboard(folder)} | asked | more, warn)


def _tensorboard(folder: RunFolder) -> Callable[[], Tracker]:
    def opened() -> Tracker:
        from es_randomized.tracking.tensorboard import TensorBoard

        return TensorBoard(folder)

    return opened


def _extra(name: str, folder: RunFolder) -> Callable[[], Tracker]:
    _check_installed(name)
    module = importlib.import_module(f"es_randomized.tracking.{name}")
    return lambda: getattr(module, EXTRAS[name])(folder)


def _check_installed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise ConfigError(f"--track {name} needs a package more: pip install 'es-randomized[{name}]'")
