"""Targets by name: each is described by a file in cluster/, or reached at an address.

`provider.type` in the file says what it is: `local-processes`, one of the providers of Ray's launcher, or a module of your own
with one class derived from `Target`.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from es_randomized.clusters.launched import LaunchedTarget
from es_randomized.clusters.local_target import LocalTarget
from es_randomized.clusters.target import Target
from es_randomized.config.kinds import is_module, only_class
from es_randomized.config.yaml import read_yaml
from es_randomized.errors import ClusterError, ConfigError, suggest

FOLDER = Path("cluster")
KINDS: dict[str, type[Target]] = {"local-processes": LocalTarget} | dict.fromkeys(
    ("aws", "azure", "gcp", "local"), LaunchedTarget
)


class AddressTarget(Target):
    """A job server that somebody else started and made reachable, for example through `kubectl port-forward`."""

    def up(self, restart: bool = False) -> None:
        raise ClusterError(f"{self.name} is an address: what is there was started by other means and is ended by them")

    def down(self) -> None:
        self.up()

    def job_server(self) -> AbstractContextManager[str]:
        return nullcontext(self.name)


def target_of(name: str) -> Target:
    """The target of a name of a file in cluster/, a path, or an address such as http://127.0.0.1:8265.

    Raises:
        ConfigError: there is no such file, or this command does not start what it describes.
    """
    if name.startswith(("http://", "https://")):
        return AddressTarget(name)
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        others = [other for other in sorted(FOLDER.glob(f"{name}.*")) if other.is_file()]
        if others:
            raise ConfigError(_by_other_means(others[0]))
        known = [other.stem for other in sorted(FOLDER.glob("*.yaml"))]
        hint = suggest(path.stem, known) if known else "give the path of a YAML file, or call this where cluster/ is"
        raise ConfigError(f"there is no {path}; {hint}")
    config = read_yaml(path.read_text(), str(path))
    kind = config.get("provider", {}).get("type") if isinstance(config, dict) else None
    if kind is None:
        raise ConfigError(_by_other_means(path))
    return _class_of(str(kind), path).of(name, path, config)


def _class_of(kind: str, path: Path) -> type[Target]:
    if kind in KINDS:
        return KINDS[kind]
    # What is neither may be a provider that Ray has and this does not know: its launcher says whether it is.
    return only_class(kind, (Target,), f"{path}: provider.type") if is_module(kind) else LaunchedTarget


def _by_other_means(path: Path) -> str:
    return f"{path} is not started by this command; its first lines say how it is used"
