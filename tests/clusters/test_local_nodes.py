"""A cluster of several nodes on this machine: started, used, killed and cleared away, and closed to strangers."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from es_randomized.clusters import local_nodes
from tests.tools.command import generations_in, wait_until
from tests.tools.pages import blocks, shows, write_files
from tests.tools.processes import gone

ROOT = Path(__file__).parents[2]
TUTORIAL = "a_cluster"
CLUSTER = "cluster_name: tested\nprovider: {type: local-processes}\nnodes: 1\nobject_store_mib: 80\n"
# In a process of its own: Ray reads the token once, when it is imported.
VISITOR = """
import sys
from ray._raylet import GcsClient  # ray.init would take minutes to say that it was refused
try:
    print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=20)), "nodes")
except Exception as error:
    print("refused", error)
"""


# `es-randomized cluster ...` for every line that comes, in one process, as importing Ray takes seconds.
COMMANDS = """
import contextlib, io, json, sys
from es_randomized.cli.main import main
for line in sys.stdin:
    sys.argv = ["es-randomized", "cluster", *line.split()]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as stopped:
            out.write(f"status {stopped.code}")
    print(json.dumps(out.getvalue()), flush=True)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder with an experiment and a cluster's file, and a home of its own; nothing is left running after it."""
    write_files(TUTORIAL, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    for name in ("two", "tested"):
        if local_nodes.running(name):
            local_nodes.stop(name)


@contextmanager
def prompt(folder: Path) -> Iterator[Callable[[str], str]]:
    """Give commands to `es-randomized cluster` in a folder and get what it says."""
    command = [sys.executable, "-c", COMMANDS]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        answers, questions = process.stdout, process.stdin
        assert answers
        assert questions

        def say(line: str) -> str:
            print(line, file=questions, flush=True)
            return str(json.loads(answers.readline()))

        yield say


def members(session: int) -> list[psutil.Process]:
    """Processes of a session, and their children: a job's driver has a session of its own."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session:
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
    return list(found.values())


@pytest.mark.cluster
def test_a_cluster_from_up_to_down(project: Path) -> None:
    """The tutorial's own commands, with what it shows; between them strangers try to get in, and the cluster is killed."""
    page = [block for block in blocks(TUTORIAL) if not block.file and block.language != "console"]
    (up, up_shown), (tried, tried_shown), (send, sent_shown), (status, status_shown), (down, down_shown) = [
        ([line.removeprefix("es-randomized cluster ") for line in sh.text.splitlines()], text.text)
        for sh, text in zip(page[::2], page[1::2], strict=True)
    ]
    with prompt(project) as say:
        refused = say("status two.yaml")
        assert "no token in ~/.ray/auth_token; `es-randomized cluster up` makes one" in refused
        assert refused.endswith("status 1")
        shows(say(*up), up_shown)
        assert (project / "home" / ".ray" / "auth_token").stat().st_mode & 0o077 == 0
        ready = say(*tried)
        assert ready.endswith("status 0"), ready
        shows(ready, tried_shown)
        submitted = say(send[0])
        job = re.search(r"^submitted (train-\S+)$", submitted, re.MULTILINE)
        assert job, submitted
        cluster = local_nodes.running("two")
        assert cluster is not None
        strangers_get_nothing(cluster)
        log = say(send[1])
        assert log.endswith("status 0"), log
        shows(submitted + log, sent_shown)
        shows(say(*status), status_shown)
        assert generations_in(project / "runs" / "sent") == 12

        started = members(cluster.session)
        assert sum(process.name() == "raylet" for process in started) == 2
        assert listening(started) == {"127.0.0.1"}
        os.kill(cluster.session, signal.SIGKILL)
        wait_until(lambda: not cluster.alive, "the death of the process that holds the nodes")
        assert "two.yaml has died; clear away what is left" in say("status two.yaml")
        shows(say(*down), down_shown)
        assert all(map(gone, started))
        assert not Path(cluster.scratch).exists()
        assert "two.yaml is not running; start it with: es-randomized cluster up two.yaml" in say("status two.yaml")


def listening(processes: list[psutil.Process]) -> set[str]:
    """Addresses that processes listen on."""
    connections = [each for process in processes for each in process.net_connections()]
    return {each.laddr.ip.removeprefix("::ffff:") for each in connections if each.status == psutil.CONN_LISTEN}


def strangers_get_nothing(cluster: local_nodes.Running) -> None:
    """Neither the pages behind the job server nor the cluster itself open without the token, or with another one."""
    for path in ("/api/jobs/", "/nodes?view=summary", "/api/v0/nodes"):
        for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(urllib.request.Request(cluster.job_server + path, headers=headers), timeout=20)
            assert answer.value.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN)
            answer.value.close()
    visitors = [
        visitor(cluster, environment) for environment in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token"})
    ]
    without, having = (process.communicate(timeout=100)[0].strip() for process in visitors)
    assert without.startswith("refused"), without
    assert having == "2 nodes"


def visitor(cluster: local_nodes.Running, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A process with this environment that asks the cluster itself for its nodes."""
    command = [sys.executable, "-c", VISITOR, cluster.gcs]
    return subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.cluster
@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")
def test_with_tls_a_token_alone_opens_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates are made as docs/cluster.md says."""
    text = (ROOT / "docs" / "cluster.md").read_text()
    recipe = re.search(r"```sh\n(openssl req.*?)```", text, re.DOTALL)
    assert recipe
    subprocess.run(["sh", "-e", "-c", recipe[1]], cwd=project, check=True, capture_output=True, timeout=60)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    for name, file in (("SERVER_CERT", "node.crt"), ("SERVER_KEY", "node.key"), ("CA_CERT", "ca.crt")):
        monkeypatch.setenv(f"RAY_TLS_{name}", str(project / file))
    (project / "one.yaml").write_text(CLUSTER)
    with prompt(project) as say:
        assert "one.yaml: 1 node, 1 CPU" in say("up one.yaml")
    cluster = local_nodes.running("tested")
    assert cluster is not None
    token, impatient = {"RAY_AUTH_MODE": "token"}, {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
    ways = (token, token | impatient | {"RAY_USE_TLS": "0"}, {"RAY_AUTH_MODE": "disabled"})
    visitors = [visitor(cluster, environment) for environment in ways]
    both, token_only, certificate_only = (process.communicate(timeout=100)[0].strip() for process in visitors)
    assert both == "1 nodes"
    assert "nodes" not in token_only  # Ray ends a process that gets no answer
    assert certificate_only.startswith("refused"), certificate_only


def test_a_program_that_got_the_old_id_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    began = psutil.Process(stranger.pid).create_time()
    old = local_nodes.Running(stranger.pid, began - 1000.0, "", "", str(tmp_path / "scratch"))
    folder = local_nodes.folder_of("old")
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text(json.dumps(asdict(old)))
    try:
        local_nodes.stop("old")
        assert stranger.poll() is None
        assert not folder.exists()
    finally:
        stranger.kill()
        stranger.wait()
