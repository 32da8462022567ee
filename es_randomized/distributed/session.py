"""Ray sessions: start a private local cluster or join a running one, with safe defaults.

Call `connect` before anything is computed: Ray forks processes, and the coordinator must not hold an accelerator that a
worker needs.
"""

import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from es_randomized.compilation import usable_cores
from es_randomized.distributed.ray_internals import LOOPBACK_ONLY, NICENESS
from es_randomized.distributed.reachable import RUNS, check_answers, on_loopback_alone
from es_randomized.distributed.survivors import ended_with_this_process
from es_randomized.errors import ClusterError
from es_randomized.own_folder import own_folder

OBJECT_STORE_BYTES = 256 * 2**20  # one generation's state; a population never enters it
LONGEST_BASE = 12  # characters: a socket's path has at most 107, Ray's own part of it has 64 and ours at most 29


@contextmanager
def connect(workers: int | None, address: str | None = None, dashboard_port: int | None = None) -> Iterator[None]:
    """A Ray session for the length of a `with` block: the one this process has already, which stays, or a new one.

    Args:
        workers: CPU slots of the local cluster; one per usable core by default.
        address: a running cluster to join instead of starting one.
        dashboard_port: serve Ray's dashboard on this port of the loopback interface; off by default.

    Raises:
        ClusterError: the cluster does not answer or a port is in use.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = _joining(address) if address else _local(workers or usable_cores(), dashboard_port)
    before = set(psutil.Process().children(recursive=True))
    ray = _start({"log_to_driver": False, "logging_level": "error"} | options)
    with ended_with_this_process(set(psutil.Process().children(recursive=True)) - before):
        try:
            yield
        finally:
            ray.shutdown()


def _joining(address: str) -> dict[str, Any]:
    if on_loopback_alone(address):
        os.environ.update(LOOPBACK_ONLY)  # read when Ray is imported
    check_answers(address)
    return {"address": address}


def _local(cpus: int, dashboard_port: int | None) -> dict[str, Any]:
    """How to start a cluster that only this machine can reach."""
    os.environ.update(LOOPBACK_ONLY)
    os.environ.setdefault(NICENESS, "0")
    options = {
        "address": "local",
        "num_cpus": cpus,
        "include_dashboard": dashboard_port is not None,
        "dashboard_host": "127.0.0.1",
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(session_folder()),
    }
    if dashboard_port is None:
        return options
    _check_free(dashboard_port)
    return options | {"dashboard_port": dashboard_port}


def session_folder() -> Path:
    """Where Ray keeps its sessions on this machine: not in its default folder, where all users may write."""
    base = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    # Ray itself opens the folder it is given to everybody, so it is one inside.
    return own_folder(base if len(base) <= LONGEST_BASE else "/tmp") / "ray"


def _start(options: dict[str, Any]) -> ModuleType:
    try:
        import ray
    except ImportError:
        raise ClusterError(
            "Ray is not installed: pip install 'es-randomized[ray]', or do without it: --local"
        ) from None
    previous = os.umask(0o077)  # Ray writes its authentication token with the default mask
    try:
        with warnings.catch_warnings():
            # Of JAX, where it computed before: threads do not go along into a fork. Ray's forks become other programs at once.
            warnings.filterwarnings("ignore", ".*fork")
            ray.init(**options)
    except Exception as error:  # Ray raises a plain Exception where its processes start too slowly
        local = options["address"] == "local"
        what = "start a local Ray cluster" if local else f"join the Ray cluster at {options['address']}"
        advice = "check free memory and disk, or train without Ray: --local" if local else RUNS
        raise ClusterError(f"cannot {what}: {str(error).strip().splitlines()[0]}; {advice}") from error
    finally:
        os.umask(previous)
    return ray


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ClusterError(
                f"port {port} for the dashboard is not free ({error.strerror}); choose another with --dashboard-port"
            ) from None
