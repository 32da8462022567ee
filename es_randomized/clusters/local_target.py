"""The target of node processes on this machine."""

import re
import shlex
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from es_randomized.clusters import local_nodes
from es_randomized.clusters.target import Target
from es_randomized.config.yaml import settings_of
from es_randomized.errors import ClusterError, ConfigError


class LocalTarget(Target):
    """Node processes on this machine; see local_nodes.py."""

    def __init__(self, name: str, cluster: str, wanted: local_nodes.LocalNodes) -> None:
        super().__init__(name)
        self.cluster, self.wanted, self.nodes = cluster, wanted, wanted.nodes
        self.runs = shlex.quote(str(Path("runs").absolute()))

    @classmethod
    def of(cls, name: str, path: Path, config: dict[str, Any]) -> "LocalTarget":
        rest = {key: value for key, value in config.items() if key not in ("provider", "cluster_name")}
        cluster = str(config.get("cluster_name", path.stem))
        if not re.fullmatch(r"[\w-]+", cluster):
            raise ConfigError(f"{path}: cluster_name: should be letters, digits, - and _, got {cluster!r}")
        return cls(name, cluster, settings_of(str(path), local_nodes.LocalNodes, rest))

    def up(self, restart: bool = False) -> None:
        if restart and local_nodes.running(self.cluster):
            self.down()
        local_nodes.start(self.cluster, self.wanted)

    def down(self) -> None:
        local_nodes.stop(self.cluster)

    def job_server(self) -> AbstractContextManager[str]:
        state = local_nodes.running(self.cluster)
        if state is None:
            raise ClusterError(f"{self.name} is not running; start it with: es-randomized cluster up {self.name}")
        if not state.alive:
            raise ClusterError(
                f"{self.name} has died; clear away what is left, and start again: es-randomized cluster down {self.name}"
            )
        return nullcontext(state.job_server)
