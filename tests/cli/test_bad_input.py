"""Every mistake ends in one message that says what to do, a non-zero exit, and nothing lost."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from es_randomized.cli.main import main
from tests.tools.command import TINY, TINY_GRADIENT, final_snapshot, generations_in, run

BAD_SETTINGS = {
    "unknown key": (["--driver.populatoin", "8"], "driver.populatoin: unknown key; did you mean population?"),
    "unknown section": (["--drivr.population", "8"], "drivr: unknown section; did you mean driver?"),
    "wrong type": (["--driver.population", "many"], "driver.population: should be a valid integer, got 'many'"),
    "odd pairs": (["--driver.population", "7"], "so population must be even, but it is 7; use 8"),
    "impossible task": (["--task.colours", "2"], "a cycle of n=5 vertices has no proper 2-colouring because n is odd"),
    "refused strategy": (["--driver.kind", "MA_ES"], "MA_ES is not offered: evosax applies rank-ordered weights"),
}

BAD_SIZES = {
    "tile": (["--plan.tile", 3], "plan.tile is 3, but it must divide the 8 cases of a member; use auto"),
    "no memory": (["--driver.population", 2000000, "--plan.memory_mib", 100], "but plan.memory_mib is 100"),
    "nothing fits": (
        ["--plan.chunk", "auto", "--plan.memory_mib", 1, "--batch.instances", 4096, "--batch.seeds", 64],
        "a chunk of one member needs",
    ),
    "not finite": (["--driver.std", 1e30], "losses of generation 0 are not finite"),
}


@pytest.mark.parametrize("mistake", BAD_SETTINGS)
def test_mistakes_in_settings(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, message = BAD_SETTINGS[mistake]
    monkeypatch.setattr(sys, "argv", ["es-randomized", "train", str(TINY), "--run", str(tmp_path / "run"), *overrides])
    with pytest.raises(SystemExit) as stopped:
        main()
    errors = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mistake", BAD_SIZES)
def test_mistakes_of_size(mistake: str, tmp_path: Path) -> None:
    overrides, message = BAD_SIZES[mistake]
    result = run("train", TINY, "--local", "--no-evaluate", "--run", tmp_path / "run", *overrides)
    assert result.returncode == 1, result.stdout
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("option", [("--workers", "2"), ("--address", "auto"), ("--dashboard-port", "8265")])
def test_a_cluster_for_the_gradient(
    option: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["es-randomized", "train", str(TINY_GRADIENT), "--run", str(tmp_path / "run"), *option]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "driver.kind gradient runs in this process on one device; leave out --workers" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_missing_config(tmp_path: Path) -> None:
    result = run("train", tmp_path / "none.yaml", "--local")
    assert result.returncode == 1
    assert "cannot read the experiment" in result.stderr
    assert "No such file" in result.stderr


@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_missing_run_folder(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "none")
    assert result.returncode == 1
    assert "is not a run folder" in result.stderr


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run("train", TINY, "--local", "--no-evaluate", "--run", folder).returncode == 0
    before = final_snapshot(folder)
    result = run("train", TINY, "--local", "--run", folder)
    assert result.returncode == 1
    assert "already holds a run; continue it with `es-randomized resume" in result.stderr
    assert final_snapshot(folder) == before


def test_a_damaged_run_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run("train", TINY, "--local", "--no-evaluate", "--run", folder).returncode == 0
    (folder / "journal.bin").write_bytes(b"\0" * 40)
    result = run("resume", folder, "--local")
    assert result.returncode == 1
    assert "damaged at its very beginning" in result.stderr
    (folder / "experiment.yaml").write_text("task: {kind: [")
    result = run("resume", folder, "--local")
    assert result.returncode == 1
    assert "the experiment of this run is damaged" in result.stderr


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run("train", TINY, "--dashboard-port", port, "--run", tmp_path / "run")
    assert result.returncode == 1
    assert f"port {port} for the dashboard is not free" in result.stderr
    assert "--dashboard-port" in result.stderr


def test_dead_cluster(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    result = run("train", TINY, "--address", address, "--run", tmp_path / "run")
    assert result.returncode == 1
    assert f"cannot reach the Ray cluster at {address}: Connection refused" in result.stderr
    assert "`ray status`" in result.stderr


def test_user_code_that_raises_stops_the_run_with_its_exception(tmp_path: Path) -> None:
    config = tmp_path / "raising.yaml"
    config.write_text(TINY.read_text().replace("cycle_colouring", "tests.tools.raising_task"))
    root = Path(__file__).parents[2]
    folder = tmp_path / "run"
    result = run(
        "train",
        config,
        "--workers",
        1,
        "--no-evaluate",
        "--run",
        folder,
        "--budget.generations",
        100000,
        PYTHONPATH=str(root),
    )
    assert result.returncode == 1
    assert "the user's own mistake" in result.stderr
    assert "of generation" in result.stderr
    assert generations_in(folder) > 0


FULL_DISK = """
mount -t tmpfs -o size=64k tmpfs "$1" || exit 77
"$2" -m es_randomized train "$3" --local --no-evaluate --run "$1/run" --budget.generations 100000 --driver.population 200
code=$?
cp -r "$1/run" "$4"
exit $code
"""


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
    resumed = run("resume", kept, "--local", "--no-evaluate", "--seconds", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert generations_in(kept) > reached
