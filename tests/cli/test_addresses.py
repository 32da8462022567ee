"""Commands take addresses wherever they take run folders, on any machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from es_randomized.cli.main import cli
from tests.tools.command import TINY_GRADIENT, final_snapshot, run_here


@pytest.fixture
def command(tmp_path: Path):
    """Run a command on a machine that has seen no run yet."""
    machines = iter(range(100))

    def run(*arguments: object) -> str:
        result = run_here(*arguments, XDG_CACHE_HOME=str(tmp_path / f"machine{next(machines)}"))
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.mark.cluster
def test_every_command_on_addresses(command, tmp_path: Path) -> None:
    bucket, here = (tmp_path / "bucket").as_uri(), tmp_path / "undisturbed"
    command("train", TINY_GRADIENT, "--run", here, "--no-evaluate")

    text = command("train", TINY_GRADIENT, "--run", f"{bucket}/run", "--no-evaluate")
    assert f"run folder: {bucket}/run" in text
    assert "12 generations replayed; snapshots compared: 1" in command("replay", f"{bucket}/run")
    assert "12 generations, 96 rollouts" in " ".join(command("show", f"{bucket}/run").split())
    assert f"folder:     {bucket}/run" in command("evaluate", f"{bucket}/run")
    command("export", f"{bucket}/run", tmp_path / "checkpoint")
    text = command("branch", f"{bucket}/run", "--at", 5, "--run", f"{bucket}/branch")
    assert f"es-randomized resume {bucket}/branch" in text
    command("resume", f"{bucket}/branch", "--no-evaluate")

    evaluation = json.loads((tmp_path / "checkpoint" / "evaluation.json").read_text())
    assert evaluation == json.loads((tmp_path / "bucket" / "run" / "evaluation.json").read_text())
    assert (tmp_path / "bucket" / "run" / "picture.png").read_bytes().startswith(b"\x89PNG")
    origin = json.loads((tmp_path / "bucket" / "branch" / "provenance.json").read_text())
    assert origin["branch"]["parent"] == f"{bucket}/run"
    assert "lease.json" not in {path.name for path in (tmp_path / "bucket").rglob("*")}
    for name in ("run", "branch"):
        there = tmp_path / "bucket" / name
        journal = b"".join(piece.read_bytes() for piece in sorted(there.glob("journal/*")))
        assert journal == (here / "journal.bin").read_bytes()
        assert final_snapshot(there) == final_snapshot(here)


@pytest.mark.parametrize("arguments", [("resume",), ("train", TINY_GRADIENT, "--run"), ("evaluate",)])
def test_an_address_with_one_slash(arguments: tuple[object, ...]) -> None:
    result = CliRunner().invoke(cli, [*map(str, arguments), "s3:/bucket/run"])
    assert result.exit_code == 2
    assert "did you mean s3://bucket/run?" in result.output
