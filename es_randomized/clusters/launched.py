"""The target of machines that Ray's cluster launcher starts, and what is checked before they cost anything."""

import copy
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from es_randomized.clusters.jobs import UNFINISHED, SilenceError, TokenError, connected
from es_randomized.clusters.local_nodes import folder_of, made_folder
from es_randomized.clusters.on_premise import leave_nothing
from es_randomized.clusters.target import Target
from es_randomized.distributed.ray_internals import AUTOSCALER_V1, check_launcher_config
from es_randomized.errors import ClusterError, ConfigError

RAY = (sys.executable, "-m", "ray.scripts.scripts")
CLOUDS = {"aws": ("boto3", "boto3"), "gcp": ("googleapiclient", "google-api-python-client")}  # module, package
LOOPBACK = r"--dashboard-host[= ](127\.0\.0\.1|localhost)\b"
TUNNEL_PATIENCE = 60.0  # seconds for ssh to reach the head node
# Runs a command and ends it, and all that it started, when the one who holds the other end of its input is gone, however.
HOLD = '("$@" < /dev/null; kill -- -$$) & read -r _; kill -- -$$'


class LaunchedTarget(Target):
    """Machines started and reached by Ray's cluster launcher."""

    def __init__(self, name: str, path: Path, config: dict[str, Any]) -> None:
        super().__init__(name)
        self.path, self.config, self.kind = path, config, config["provider"]["type"]
        kinds = config.get("available_node_types", {}).values()
        hosts = config["provider"].get("worker_ips", [])
        self.nodes = 1 + len(hosts) + sum(kind.get("min_workers", 0) for kind in kinds)

    @classmethod
    def of(cls, name: str, path: Path, config: dict[str, Any]) -> "LaunchedTarget":
        return cls(name, path, config)

    def up(self, restart: bool = False) -> None:
        self._check_edited()
        check_schema(self.config, self.path)
        refuse_open(self.config)
        self._check_credentials()
        for local in self.config.get("file_mounts", {}).values():
            if not Path(local).expanduser().exists():
                raise ClusterError(f"{self.path}: file_mounts names {local}, which does not exist here")
        mark = self._mark()
        jobs = None if restart else self._unfinished()
        if jobs is not None and mark == self._mark_of_last_up():
            return
        if jobs:
            raise ClusterError(
                f"{self.path}, or a file that it names, has changed since {self.name} was started; starting it again would end "
                f"{', '.join(jobs)}; wait, or do it now: es-randomized cluster up {self.name} --restart"
            )
        made_folder(self._mark_file.parent)  # before anything costs
        self._ray("up", "--yes")
        self._mark_file.write_text(mark)

    def down(self) -> None:
        self._check_credentials()
        self._ray("down", "--yes")
        self._mark_file.unlink(missing_ok=True)
        if self.kind == "local":
            leave_nothing(self.config)

    @contextmanager
    def job_server(self) -> Iterator[str]:
        self._check_credentials()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        tunnel = subprocess.Popen(
            ["sh", "-c", HOLD, "sh", *RAY, "dashboard", str(self.path), "--port", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            _wait_for_tunnel(tunnel, port, self.name)
            yield f"http://127.0.0.1:{port}"
        finally:
            _end_group(tunnel)

    def _unfinished(self) -> list[str] | None:
        """Names of the jobs that a restart would end; None where the cluster is not up.

        Raises:
            ClusterError: it may be up, but does not say what runs on it.
        """
        try:
            with self.job_server() as address, connected(address) as jobs:
                return [job.name for job in jobs.all() if job.status in UNFINISHED]
        except TokenError:
            raise
        except SilenceError as error:
            raise ClusterError(
                f"{error} What runs on {self.name} is not known; if it may end: es-randomized cluster up {self.name} --restart"
            ) from error
        except ClusterError:
            return None

    @property
    def _mark_file(self) -> Path:
        return folder_of(str(self.config["cluster_name"])) / "launched"

    def _mark(self) -> str:
        """Of what a launched cluster is made: its file, and the files that are copied to its machines."""
        files = [Path(local).expanduser() for local in self.config.get("file_mounts", {}).values()]
        contents = [self.path.read_bytes(), *(file.read_bytes() for file in files if file.is_file())]
        return hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in contents)).hexdigest()

    def _mark_of_last_up(self) -> str | None:
        try:
            return self._mark_file.read_text()
        except OSError:
            return None

    def _ray(self, command: str, *options: str) -> None:
        environment = os.environ | (AUTOSCALER_V1 if self.kind == "local" else {})
        if code := subprocess.run([*RAY, command, str(self.path), *options], env=environment).returncode:
            raise ClusterError(f"`ray {command} {self.path}` ended with {code}; what it wrote above says why")

    def _check_edited(self) -> None:
        for number, line in enumerate(self.path.read_text().splitlines(), 1):
            if "YOUR-" in line.partition("#")[0]:
                raise ClusterError(f"{self.path} line {number}: put in your own value first: {line.strip()}")

    def _check_credentials(self) -> None:
        if self.kind not in CLOUDS:
            return
        module, package = CLOUDS[self.kind]
        if find_spec(module) is None:
            raise ClusterError(f"clusters on {self.kind} need the package {package}: pip install {package}")
        if self.kind == "aws":
            import boto3

            if boto3.Session().get_credentials() is None:
                raise ClusterError("no AWS credentials were found; run `aws configure`, or set AWS_PROFILE")
        else:
            import google.auth

            try:
                google.auth.default()
            except google.auth.exceptions.DefaultCredentialsError:
                raise ClusterError(
                    "no Google Cloud credentials were found; run `gcloud auth application-default login`"
                ) from None


def check_schema(config: dict[str, Any], path: Path) -> None:
    """Hold a launcher's file against Ray's own schema.

    Raises:
        ConfigError: a key is unknown or missing, or a value does not fit.
    """
    from jsonschema import ValidationError

    try:
        check_launcher_config(copy.deepcopy(config))
    except ValidationError as error:
        key = ".".join(map(str, error.absolute_path))
        raise ConfigError(f"{path}: {key + ': ' if key else ''}{error.message}") from None
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def refuse_open(config: dict[str, Any]) -> None:
    """Refuse machines on which anybody who reaches a port could run programs.

    Raises:
        ConfigError: Ray would start without a token, with its dashboard and job server open to other machines, or with a folder
            that other users of the machine can write to.
    """
    for section in ("head_start_ray_commands", "worker_start_ray_commands"):
        starts = [command for command in config.get(section, []) if "ray start" in command]
        if not starts:
            raise ConfigError(f"{section}: missing; Ray's own would start without a token and listen everywhere")
        for command in starts:
            if "RAY_AUTH_MODE=token" not in command:
                raise ConfigError(f"{section}: `ray start` needs `export RAY_AUTH_MODE=token;` before it")
            if "--temp-dir" not in command:
                raise ConfigError(
                    f"{section}: `ray start` needs --temp-dir in a folder of your own; into Ray's default one every user of the "
                    "machine may put code that runs as you (cluster/on-premise.yaml has the lines)"
                )
            if section.startswith("head") and not re.search(LOOPBACK, command):
                raise ConfigError(f"{section}: `ray start` needs --dashboard-host=127.0.0.1; a tunnel leads there")


def _wait_for_tunnel(tunnel: subprocess.Popen[str], port: int, name: str) -> None:
    deadline = time.monotonic() + TUNNEL_PATIENCE
    while tunnel.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    _end_group(tunnel)
    said = tunnel.stdout.read().strip().splitlines() if tunnel.stdout else []
    raise ClusterError(
        f"no way to the head node of {name}: {said[-1] if said else 'ssh does not answer'}; is it up? "
        f"Start it with: es-randomized cluster up {name}"
    )


def _end_group(process: subprocess.Popen[str]) -> None:
    """End a process and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()
