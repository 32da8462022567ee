"""`cluster` without a cluster: what is checked before anything is sent, and one message for what is missing."""

import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from es_randomized.cli.cluster import _checked
from es_randomized.cli.main import cli
from es_randomized.clusters.jobs import Jobs
from es_randomized.clusters.launched import LaunchedTarget
from es_randomized.config.yaml import read_yaml
from es_randomized.errors import ClusterError, ConfigError, UserError
from tests.tools.command import TINY, TINY_GRADIENT, run_here

ROOT = Path(__file__).parents[2]
EXPERIMENT = str(TINY.relative_to(ROOT))


@pytest.fixture(autouse=True)
def in_a_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")  # and what the command sets is undone
        monkeypatch.delenv(name)


def checked(*arguments: str) -> list[str]:
    """What would be sent."""
    with click.Context(cli) as context:
        return _checked(context, list(arguments))


def test_commands_that_take_the_clusters_address_get_it() -> None:
    for arguments in (["train", EXPERIMENT, "--driver.population", "8"], ["resume", "runs/there"]):
        assert checked(*arguments) == [*arguments, "--address", "auto"]
    for arguments in (
        ["train", str(TINY_GRADIENT.relative_to(ROOT)), "--local"],
        ["evaluate", "runs/there"],
        ["train", EXPERIMENT, "--address", "auto"],
    ):
        assert checked(*arguments) == arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", EXPERIMENT], r"trian: no such command to submit; did you mean train\?"),
        (["cluster", "up", "local"], "cluster: no such command to submit"),
        (["train", str(TINY)], "commands run in a copy of the current folder; give a path inside it"),
        (["train", "tests/tniy.yaml"], "cannot read the experiment tests/tniy.yaml"),
        (["train", EXPERIMENT, "--driver.populatoin", "8"], r"unknown key; did you mean population\?"),
    ],
)
def test_what_would_fail_there_is_refused_here(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked(*arguments)


def refused(*arguments: str) -> str:
    """What a command that must fail says."""
    result = CliRunner().invoke(cli, ["cluster", *arguments])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def test_a_cluster_that_is_not_there() -> None:
    assert "no token in ~/.ray/auth_token; `es-randomized cluster up` makes one" in refused("status", "local")
    assert "there is no cluster/awz-gpu.yaml; did you mean aws-gpu?" in refused("up", "awz-gpu")


def test_a_token_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess(
        [], 1, "", "Traceback ...\nPermissionError: [Errno 13] Permission denied: '/.ray'\n"
    )
    monkeypatch.setattr("es_randomized.clusters.jobs.subprocess.run", lambda *_, **__: failed)
    message = refused("up", "local")
    assert "auth_token: PermissionError: [Errno 13] Permission denied: '/.ray'; set HOME to a folder you may" in message
    assert "Traceback" not in message


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    message = refused("status", "http://127.0.0.1:9")
    assert message == "the job server at http://127.0.0.1:9: Failed to connect to Ray at address: http://127.0.0.1:9."
    assert "is an address: what is there was started by other means" in refused("down", "http://127.0.0.1:9")


def test_somebody_takes_the_connection_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setattr("es_randomized.clusters.jobs.SILENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        assert f"the job server at {address} does not answer within" in refused("status", address)


def test_a_head_that_says_nothing_is_not_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may have jobs: only --restart touches it."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("es_randomized.clusters.jobs.SILENCE", 0.3)
    text = Path("cluster/on-premise.yaml").read_text()
    for name, value in {"HEAD": "head", "WORKER-1, YOUR-WORKER-2": "w1", "USER": "me"}.items():
        text = text.replace(f"YOUR-{name}", value)
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    cluster = LaunchedTarget.of("mine", file, read_yaml(text, str(file)) | {"file_mounts": {}})
    monkeypatch.setattr(LaunchedTarget, "_ray", lambda *_: pytest.fail("it was started again"))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        monkeypatch.setattr(LaunchedTarget, "job_server", lambda _: nullcontext(address))
        with pytest.raises(ClusterError, match=r"does not answer within .* es-randomized cluster up mine --restart"):
            cluster.up()


def test_values_that_are_still_to_be_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    assert "cluster/on-premise.yaml line " in (message := refused("up", "on-premise"))
    assert message.endswith("put in your own value first: head_ip: YOUR-HEAD")


@pytest.mark.parametrize(
    ("module", "target", "message"),
    [
        ("ray", "local", "clusters need Ray: pip install 'ray[default]'"),
        ("boto3", "aws-gpu", "clusters on aws need the package boto3: pip install boto3"),
    ],
)
def test_what_is_not_installed(module: str, target: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setitem(sys.modules, module, None)
    result = run_here("cluster", "up", target)
    assert result.returncode == 1
    assert message in result.stderr


def test_a_folder_too_large_to_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest files that would be sent are named, and none of those that would not."""

    class Server:
        def submit_job(self, **_: object) -> str:
            raise RuntimeError("Request failed with status code 413: Maximum request body size 104857600 exceeded..")

    monkeypatch.chdir(tmp_path)
    sizes = {"runs/a/journal.bin": 9, "data/kept.bin": 8, "data/weights.bin": 3, "notes.txt": 0} | {
        f"small{number}": 1 for number in range(9)
    }
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * (size * 2**20))
    (tmp_path / ".gitignore").write_text("kept.bin\n")
    with pytest.raises(ClusterError) as refusal:
        Jobs(Server(), "http://127.0.0.1:9").submit(["show", "a.yaml"], "~/runs")
    message = str(refusal.value)
    assert "12.0 MiB in 12 files. The largest: data/weights.bin (3.0 MiB), small" in message
    assert "kept.bin" not in message
    assert "journal.bin" not in message
