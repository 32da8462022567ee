"""Every mistake ends in one message that says what to do, a non-zero exit, and nothing lost."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.command import TINY, TINY_GRADIENT, final_snapshot, generations_in, run, run_here

BAD_SETTINGS = {
    "unknown key": (["--driver.populatoin", "8"], "driver.populatoin: unknown key; did you mean population?"),
    "unknown section": (["--drivr.population", "8"], "drivr: unknown key; did you mean driver?"),
    "wrong type": (["--driver.population", "many"], "driver.population: should be a valid integer, got 'many'"),
    "odd pairs": (["--driver.population", "7"], "Open_ES has antithetic pairs, so it must be even, but it is 7; use 8"),
    "impossible task": (["--task.colours", "2"], "a cycle of n=5 vertices has no proper 2-colouring because n is odd"),
    "refused strategy": (["--driver.kind", "MA_ES"], "MA_ES is not offered: evosax applies rank-ordered weights"),
}

BAD_SIZES = {
    "tile": (["--plan.tile", 3], "plan.tile is 3, but it must divide the 8 cases of a member; use auto"),
    "no memory": (
        ["--driver.kind", "ESMC", "--driver.population", 2000001, "--plan.memory_mib", 100],
        "but plan.memory_mib is 100",
    ),
    "no memory for a covariance": (
        ["--driver.kind", "CMA_ES", "--model.width", 700, "--driver.std", 0.1],
        "x 1990119 parameters, memory ~ parameters², but plan.memory_mib is 2048",
    ),
    "nothing fits": (
        ["--plan.chunk", "auto", "--plan.memory_mib", 1, "--batch.instances", 4096, "--batch.seeds", 64],
        "the smallest chunk needs",
    ),
    "not finite": (["--driver.std", 1e30], "losses of generation 0 are not finite"),
}


def refused(*arguments: object) -> str:
    """Call the command with arguments it must refuse: what it says then."""
    result = run_here(*arguments)
    assert result.returncode == 1
    return result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; copy it before changing it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert run_here("train", TINY, "--local", "--no-evaluate", "--run", folder).returncode == 0
    return folder


@pytest.mark.parametrize("mistake", BAD_SETTINGS)
def test_mistakes_in_settings(mistake: str, tmp_path: Path) -> None:
    overrides, message = BAD_SETTINGS[mistake]
    assert message in refused("train", TINY, "--run", tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mistake", BAD_SIZES)
def test_mistakes_of_size(mistake: str, tmp_path: Path) -> None:
    overrides, message = BAD_SIZES[mistake]
    assert message in refused("train", TINY, "--local", "--no-evaluate", "--run", tmp_path / "run", *overrides)


def test_show_knows_the_memory_too() -> None:
    overrides, message = BAD_SIZES["no memory for a covariance"]
    assert message in refused("show", TINY, *overrides)


@pytest.mark.parametrize("option", [("--workers", "2"), ("--address", "auto"), ("--dashboard-port", "8265")])
def test_a_cluster_for_the_gradient(option: tuple[str, str], tmp_path: Path) -> None:
    errors = refused("train", TINY_GRADIENT, "--run", tmp_path / "run", *option)
    assert "driver.kind gradient runs in this process on one device; leave out workers" in errors
    assert not (tmp_path / "run").exists()


def test_missing_config(tmp_path: Path) -> None:
    """In a process of its own, as users meet it: one message and no traceback."""
    result = run("train", tmp_path / "none.yaml", "--local")
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot read the experiment")
    assert "No such file" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_missing_run_folder(command: str, tmp_path: Path) -> None:
    assert "is not a run folder" in refused(command, tmp_path / "none")


def test_a_run_is_not_overwritten(trained: Path) -> None:
    before = final_snapshot(trained)
    errors = refused("train", TINY, "--local", "--run", trained)
    assert "already holds a run; continue it with `es-randomized resume" in errors
    assert final_snapshot(trained) == before


def test_a_damaged_run_folder(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    (folder / "journal.bin").write_bytes(b"\0" * 40)
    assert "damaged at its very beginning" in refused("resume", folder, "--local")
    (folder / "experiment.yaml").write_text("task: {kind: [")
    assert "the experiment of this run is damaged" in refused("resume", folder, "--local")


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        errors = refused("train", TINY, "--dashboard-port", port, "--run", tmp_path / "run")
    assert f"port {port} for the dashboard is not free" in errors
    assert "--dashboard-port" in errors


def test_dead_cluster(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    errors = refused("train", TINY, "--address", address, "--run", tmp_path / "run")
    assert f"cannot reach the Ray cluster at {address}: Connection refused" in errors
    assert "`ray status`" in errors


FULL_DISK = """
mount -t tmpfs -o size=64k tmpfs "$1" || exit 77
"$2" -m es_randomized train "$3" --local --no-evaluate --run "$1/run" --budget.generations 100000 --driver.population 200
code=$?
cp -r "$1/run" "$4"
exit $code
"""


@pytest.mark.cluster
@pytest.mark.skipif(not shutil.which("unshare") or os.getuid() != 0, reason="needs root to mount a small disk")
def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    command = ["unshare", "-m", "sh", "-c", FULL_DISK, "sh", disk, sys.executable, TINY, kept]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, env=os.environ | {"COLUMNS": "200"})
    if result.returncode == 77:
        pytest.skip("this sandbox does not let root mount")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "cannot write" in result.stderr
    assert "No space left on device" in result.stderr
    assert "es-randomized resume" in result.stderr
    reached = generations_in(kept)
    assert reached > 10
    resumed = run_here("resume", kept, "--local", "--no-evaluate", "--seconds", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert generations_in(kept) > reached
