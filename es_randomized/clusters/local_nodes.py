"""A Ray cluster of several node processes on this machine, on loopback only: a cluster to try things on, without a cloud.

`start` leaves one process behind, which holds the nodes and lives in a session of its own; everything Ray starts is in that
session, so `stop` finds all of it even after a crash.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
from pydantic import Field

from es_randomized.distributed.ray_internals import LOOPBACK_ONLY, NICENESS, several_nodes
from es_randomized.errors import ClusterError
from es_randomized.own_folder import home
from es_randomized.runs.storage import write_atomically
from es_randomized.settings import settings

PATIENCE = 180.0  # seconds for all nodes to start; about 10 on a quiet machine with two cores
GRACE = 5.0  # seconds for killed processes to be gone


@settings
class LocalNodes:
    """How many nodes there are, the head among them, and what each of them has.

    Attributes:
        cpus_per_node: workers that each node takes.
        object_store_mib: shared memory of each node.
    """

    nodes: Annotated[int, Field(ge=1)] = 3
    cpus_per_node: Annotated[int, Field(ge=0)] = 1
    object_store_mib: Annotated[int, Field(ge=80)] = 100


@dataclass(frozen=True)
class Running:
    """What is known of a cluster that was started: kept in its folder until it is stopped.

    Attributes:
        session: id of the process that holds the nodes and of its session.
        created: when that process began, in seconds since 1970: ids are used again, moments are not.
        job_server: address of Ray's dashboard and job API.
        gcs: address that `ray.init` takes.
        scratch: Ray's temporary files.
    """

    session: int
    created: float
    job_server: str
    gcs: str
    scratch: str

    @property
    def alive(self) -> bool:
        """Whether the process that holds the nodes is there."""
        try:
            process = psutil.Process(self.session)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def replaced(self) -> bool:
        """Whether the session's id belongs to another program by now, so that nothing of the cluster is left."""
        try:
            return psutil.Process(self.session).create_time() != self.created
        except psutil.NoSuchProcess:
            return False


def made_folder(folder: Path) -> Path:
    """The folder of a cluster, made if it is not there.

    Raises:
        ClusterError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ClusterError(
            f"cannot keep what is known of a cluster in {folder}: {error.strerror}; set HOME or XDG_STATE_HOME to a folder you "
            "may write to"
        ) from None
    return folder


def folder_of(name: str) -> Path:
    """Where the cluster `name` keeps its state: the user's state folder, as the XDG base directory specification has it."""
    base = os.environ.get("XDG_STATE_HOME") or home() / ".local" / "state"
    return Path(base) / "es_randomized" / "clusters" / name


def running(name: str) -> Running | None:
    """The cluster `name` if it was started and not stopped, alive or not."""
    try:
        return Running(**json.loads((folder_of(name) / "cluster.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def start(name: str, wanted: LocalNodes) -> Running:
    """Start a cluster that outlives this process; returns when all its nodes are there.

    Raises:
        ClusterError: there is one of this name already, its folder cannot be made, or it does not start.
    """
    if running(name):
        raise ClusterError(f"a cluster {name} was started already; `es-randomized cluster down {name}` ends it")
    folder = made_folder(folder_of(name))
    scratch = tempfile.mkdtemp(
        prefix="esr-", dir="/tmp"
    )  # short: Ray's sockets are in it, and their paths may not be long
    command = [sys.executable, "-m", "es_randomized.clusters.local_nodes", str(folder), json.dumps(asdict(wanted))]
    with open(folder / "nodes.log", "w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment(scratch)
        )
    try:
        _wait(lambda: running(name) is not None or process.poll() is not None)
    finally:
        if (cluster := running(name)) is None:
            _end(process.pid)
            shutil.rmtree(scratch, ignore_errors=True)
    if cluster is None:
        last = (folder / "nodes.log").read_text().strip().splitlines()[-1:]
        raise ClusterError(f"the nodes did not start: {''.join(last) or 'they took too long'}; see {folder}/nodes.log")
    return cluster


def stop(name: str) -> None:
    """End a cluster and everything that runs on it, and remove its files.

    Raises:
        ClusterError: none of this name was started.
    """
    cluster = running(name)
    if cluster is None:
        raise ClusterError(f"there is no cluster {name}: nothing to end")
    if not cluster.replaced:
        _end(cluster.session)
    shutil.rmtree(cluster.scratch, ignore_errors=True)
    shutil.rmtree(folder_of(name), ignore_errors=True)


def _environment(scratch: str) -> dict[str, str]:
    """The nodes' environment: loopback only, a token asked of everybody, this Python, and no accelerators."""
    own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")}
    return own | {
        "RAY_AUTH_MODE": "token",
        "RAY_TMPDIR": scratch,
        **LOOPBACK_ONLY,
        "RAY_USAGE_STATS_ENABLED": "0",
        NICENESS: own.get(NICENESS, "0"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', '')}",
        "JAX_PLATFORMS": "cpu",  # several nodes would claim the same accelerators
    }


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def _end(session: int) -> None:
    """Kill what is left of a session, and what its processes started: a job's driver has a session of its own."""
    while members := [process for process in psutil.process_iter() if _session_of(process) == session]:
        family = {child for member in members for child in _children(member)} | set(members)
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=GRACE)


def _session_of(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (ProcessLookupError, PermissionError, psutil.Error):
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _hold(folder: Path, nodes: int, cpus_per_node: int, object_store_mib: int) -> None:
    """Start the nodes, say so in cluster.json, and keep them until this process is killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node: dict[str, Any] = {"num_cpus": cpus_per_node, "num_gpus": 0, "object_store_memory": object_store_mib * 2**20}
    node["include_log_monitor"] = False  # a job's output is its driver's
    head = node | {"include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port, "no_monitor": True}
    cluster = several_nodes(head)
    for number in range(1, nodes):
        # In one folder, nodes of one machine would unpack the code of a job over each other while it runs.
        cluster.add_node(wait=False, runtime_env_dir_name=f"runtime_resources_{number}", **node)
    cluster.wait_for_nodes(timeout=PATIENCE)
    me = psutil.Process()
    state = Running(me.pid, me.create_time(), f"http://127.0.0.1:{port}", cluster.address, os.environ["RAY_TMPDIR"])
    write_atomically(folder / "cluster.json", json.dumps(asdict(state), indent=2).encode())
    signal.pause()


if __name__ == "__main__":
    _hold(Path(sys.argv[1]), **json.loads(sys.argv[2]))
