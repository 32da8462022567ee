"""A cluster of several nodes on this machine: started, used, killed and cleared away, and closed to strangers."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from es_randomized.distributed import local_nodes
from tests.tools.command import TINY, final_snapshot
from tests.tools.command import run as run_here

ROOT = Path(__file__).parents[2]
CLUSTER = "cluster_name: tested\nprovider: {type: local-processes}\nnodes: 2\nobject_store_mib: 80\n"
TOKEN = {"RAY_AUTH_MODE": "token"}
# In a process of its own: Ray reads the token once, when it is imported.
VISITOR = """
import sys
from ray._raylet import GcsClient
try:
    print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=20)), "nodes")
except Exception as error:
    print("refused", error)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder with an experiment and a cluster's file, and a home of its own; nothing is left running after it."""
    shutil.copy(TINY, tmp_path / "tiny.yaml")
    (tmp_path / "two.yaml").write_text(CLUSTER)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    if local_nodes.running("tested"):
        local_nodes.stop("tested")


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`es-randomized cluster ...` in a folder."""
    command = [sys.executable, "-m", "es_randomized", "cluster", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)


def told(folder: Path, *arguments: str) -> str:
    """What a command that must succeed prints."""
    result = call(folder, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def refused(folder: Path, *arguments: str) -> str:
    """What a command that must fail says."""
    result = call(folder, *arguments)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def members(session: int) -> list[psutil.Process]:
    """Processes of a session, and their children: a job's driver has a session of its own."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session:
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
    return list(found.values())


def test_a_cluster_from_up_to_down(project: Path) -> None:
    assert "no token in ~/.ray/auth_token; `es-randomized cluster up` makes one" in refused(
        project, "status", "two.yaml"
    )
    assert "two.yaml: 2 nodes, 2 CPU; job server and dashboard http://127.0.0.1:" in told(project, "up", "two.yaml")
    cluster = local_nodes.running("tested")
    assert cluster is not None
    assert (project / "home" / ".ray" / "auth_token").stat().st_mode & 0o077 == 0
    started = members(cluster.session)
    assert sum(process.name() == "raylet" for process in started) == 2
    listening = [each.laddr.ip for process in started for each in process.net_connections() if each.status == "LISTEN"]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}

    submitted = told(project, "submit", "two.yaml", "train", "tiny.yaml", "--no-evaluate", "--run", "runs/sent")
    job = submitted.split()[1]
    strangers_get_nothing(cluster)
    log = told(project, "logs", "two.yaml", "--follow")
    assert "2 workers ready" in log
    assert "finished after 12 generations" in log
    assert f"{job}  succeeded" in told(project, "status", "two.yaml")
    run_here("train", project / "tiny.yaml", "--local", "--no-evaluate", "--run", project / "here")
    assert final_snapshot(project / "runs" / "sent") == final_snapshot(project / "here")

    os.kill(cluster.session, signal.SIGKILL)
    assert "two.yaml has died; clear away what is left" in refused(project, "status", "two.yaml")
    assert "two.yaml is down" in told(project, "down", "two.yaml")
    assert [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert not Path(cluster.scratch).exists()
    assert "two.yaml is not running; start it with: es-randomized cluster up two" in refused(
        project, "status", "two.yaml"
    )


def strangers_get_nothing(cluster: local_nodes.Running) -> None:
    """Neither the pages behind the job server nor the cluster itself open without the token, or with another one."""
    for path in ("/api/jobs/", "/nodes?view=summary", "/api/v0/nodes"):
        for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(urllib.request.Request(cluster.job_server + path, headers=headers), timeout=20)
            assert answer.value.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN)
            answer.value.close()
    answers = [visit(cluster, {"RAY_AUTH_MODE": "disabled"}), visit(cluster, TOKEN | {"RAY_AUTH_TOKEN": "0" * 64})]
    assert all(answer.startswith("refused") for answer in answers), answers
    assert visit(cluster, TOKEN) == "2 nodes"


def visit(cluster: local_nodes.Running, environment: dict[str, str]) -> str:
    """What the cluster itself answers a process with this environment that asks for its nodes."""
    command = [sys.executable, "-c", VISITOR, cluster.gcs]
    result = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=100)
    return result.stdout.strip()
