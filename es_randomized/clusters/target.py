"""What a target is: a cluster that commands go to."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any


class Target(ABC):
    """A cluster.

    Attributes:
        runs: the folder of its head node that keeps the run folders of submitted commands, as shell text.
        nodes: machines that are there without anybody asking for more, the head among them.
    """

    runs = "~/runs"
    nodes = 1

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def of(cls, name: str, path: Path, config: dict[str, Any]) -> "Target":
        """The target called `name` that the file `path` describes with this tree.

        Raises:
            ConfigError: a setting does not fit.
        """
        return cls(name)

    @abstractmethod
    def up(self, restart: bool = False) -> None:
        """Start it, or bring it to what its file says now without ending what runs on it.

        Args:
            restart: end what runs on it, if that is what it takes.

        Raises:
            ClusterError: it does not start, or that would end jobs.
        """

    @abstractmethod
    def down(self) -> None:
        """End it and everything on it."""

    @abstractmethod
    def job_server(self) -> AbstractContextManager[str]:
        """The address of its job server, reachable from this machine while the block lasts."""
