"""Ray runs what it finds in its session folder, and opens that to everybody: on every machine it is inside a folder of ours."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from es_randomized.config.yaml import read_yaml
from es_randomized.distributed.session import session_folder
from es_randomized.errors import StorageError
from es_randomized.own_folder import own_folder

CLUSTER = Path(__file__).parents[2] / "cluster"
LAUNCHED = ("aws-gpu", "gcp-gpu", "gcp-tpu", "on-premise")
SOCKET = "session_2026-11-29_02-16-40_123456_4194304/sockets/plasma_store.1"
# What Ray does with the folder that it is given.
STUB = """#!/bin/sh
for option; do case $option in --temp-dir=*) mkdir -p ${option#*=} && chmod 777 ${option#*=} ;; esac; done
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_enters_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = own_folder(str(tmp_path))
    assert mode(folder) == 0o700
    folder.chmod(0o755)  # as versions before made it
    assert mode(own_folder(str(tmp_path))) == 0o700


def test_a_folder_that_somebody_else_put_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"es_randomized-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="somebody else made it"):
        own_folder(str(tmp_path))
    other = os.getuid() + 1
    (tmp_path / f"es_randomized-{other}").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(StorageError, match="somebody else made it"):
        own_folder(str(tmp_path))


@pytest.mark.parametrize("base", ["/tmp", "/tmp/" + "x" * 80])
def test_rays_sockets_have_paths_that_are_short_enough(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even for the largest user id."""
    monkeypatch.setenv("RAY_TMPDIR", base)
    path = str(session_folder() / SOCKET).replace(f"es_randomized-{os.getuid()}", f"es_randomized-{2**32 - 2}")
    assert len(path) <= 107


@pytest.mark.parametrize("name", LAUNCHED)
@pytest.mark.parametrize("section", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_machines_of_the_launcher_start_ray_in_one(name: str, section: str, tmp_path: Path) -> None:
    """The lines of the file themselves, with a `ray` that treats its folder as Ray does."""
    (tmp_path / "ray").write_text(STUB)
    (tmp_path / "ray").chmod(0o755)
    tree = read_yaml((CLUSTER / f"{name}.yaml").read_text(), name)
    command = tree[section][-1].replace("/tmp/", f"{tmp_path}/")  # type: ignore[index, call-overload]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RAY_HEAD_IP": "10.0.0.1"}
    folder = tmp_path / f"es_randomized-{os.getuid()}"

    def start() -> int:
        return subprocess.run(["bash", "-c", command], env=environment, check=False).returncode

    assert start() == 0
    assert (mode(folder), mode(folder / "ray")) == (0o700, 0o777)
    folder.chmod(0o777)
    assert start() == 0
    assert mode(folder) == 0o700
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert start() != 0


def test_the_image_gives_ray_one() -> None:
    text = (CLUSTER / "Containerfile").read_text()
    assert re.search(r"^ENV .*\bRAY_TMPDIR=/home/ray/own$", text, re.MULTILINE)
    assert "install --directory --mode=700 --owner=ray --group=ray /home/ray/own" in text
