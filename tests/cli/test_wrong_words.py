"""What is wrong is said in one message that is true, with a non-zero exit and nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import es_randomized
from es_randomized import RunFolder
from es_randomized.clusters import local_nodes
from es_randomized.compilation import default_cache
from es_randomized.config.yaml import read_file
from es_randomized.errors import ClusterError, StorageError
from es_randomized.own_folder import own_folder
from es_randomized.runs.identity import digest
from es_randomized.runs.storage import saying_what_failed
from tests.tools.command import TINY, run_here


def refused(*arguments: object) -> str:
    result = run_here(*arguments)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("key", ["5", "null", "true", "1.5"])
@pytest.mark.parametrize(
    "where", ["{key}: 3", "task: {{kind: cycle_colouring, {key}: 3}}", "driver: {{std: {{{key}: 1}}}}"]
)
def test_keys_that_are_no_text(key: str, where: str, tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text(where.format(key=key))
    assert "the names of settings are text, but there is" in refused("train", config, "--run", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [".inf", ".nan", "-.inf", "{start: .inf, end: 1}", "{start: 1, end: .nan}"])
@pytest.mark.parametrize("setting", ["objective.q", "driver.std", "driver.optimizer.learning_rate"])
def test_numbers_that_are_not_finite(setting: str, value: str, tmp_path: Path) -> None:
    message = refused("train", TINY, "--local", "--run", tmp_path / "run", f"--{setting}", value)
    assert setting in message
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refused("train", TINY, "--local", "--run", tmp_path / "file" / "run")
    assert "a file stands in the way" in message
    assert "resume" not in message


def test_making_room_is_advice_for_a_run_only(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    run.mkdir()
    for there, expected in ((False, "choose another place"), (True, f"es-randomized resume '{run}'")):
        if there:
            (run / "journal.bin").touch()
        with pytest.raises(StorageError, match="No space left") as caught, saying_what_failed(run / "snapshots" / "1"):
            raise OSError(28, "No space left on device")
        assert expected in str(caught.value)


@pytest.mark.parametrize("number", [37, 38, 95])
def test_locks_that_are_refused(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="its file system refuses locks"), saying_what_failed(tmp_path / ".lock"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", ["with space", "[red]brackets[/]", "[/]", "quote'd"])
def test_hints_can_be_pasted(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / name)
    words = subprocess.run(["sh", "-c", f"printf %s {run.name}"], capture_output=True, text=True, check=True).stdout
    assert words == str(tmp_path / name)
    assert run.name in refused("resume", tmp_path / name)


def test_a_name_of_ten_thousand_characters(tmp_path: Path) -> None:
    assert "File name too long" in refused("train", TINY, "--local", "--run", tmp_path / ("a" * 10_000))
    assert "File name too long" in refused("resume", tmp_path / ("a" * 10_000))


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(
        Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory."))
    )
    assert default_cache("programs").parts[-2:] == ("es_randomized", "programs")


@pytest.mark.parametrize("what", ["HOME", "XDG_CACHE_HOME"])
def test_a_home_that_takes_nothing(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache elsewhere does as well, but a cluster is not found again without its folder."""
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(what, str(tmp_path / "file"))
    assert default_cache("programs") == own_folder() / ".cache" / "es_randomized" / "programs"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(ClusterError, match="set HOME or XDG_STATE_HOME to a folder you may write to"):
        local_nodes.start("a", local_nodes.LocalNodes())


def test_a_file_that_another_user_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(TINY))

    monkeypatch.setattr("es_randomized.cli.show.load", denied)
    message = refused("show", TINY)
    assert f"{TINY}: Permission denied; it belongs to {TINY.owner()}" in message


def test_a_run_of_another_version_is_not_called_damaged_alone(tmp_path: Path) -> None:
    assert (
        run_here(
            "train", TINY, "--local", "--no-evaluate", "--run", tmp_path / "run", "--budget.generations", 1
        ).returncode
        == 0
    )
    run = RunFolder(tmp_path / "run")
    run.experiment_file.write_text(run.experiment_file.read_text() + "wings: 2\n")
    run.write_origin(run.origin() | {"experiment": digest(read_file(run.experiment_file, ""))})
    assert f"or not of this version (the run was made with {run.origin()['revision']})" in refused("show", run.path)


def test_a_platform_that_is_not_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "es_randomized", "train", str(TINY), "--local", "--run", str(tmp_path / "run")]
    result = subprocess.run(command, env=os.environ | {"JAX_PLATFORMS": "cuda"}, capture_output=True, text=True)
    assert result.returncode == 1
    assert "JAX_PLATFORMS" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()
    shutil.rmtree(tmp_path)


def test_brackets_in_names_are_printed_as_they_are(tmp_path: Path) -> None:
    """Text in brackets would be taken for colours, or for an end of what never began."""
    run = tmp_path / "[red]a[/][bold]"
    done = run_here("train", TINY, "--local", "--no-evaluate", "--run", run, "--budget.generations", 1)
    assert done.returncode == 0, done.stderr
    assert str(run) in done.stdout
    refusal = refused("train", TINY, "--local", "--run", run)
    assert f"{run}' already holds a run" in refusal


def test_no_command_prints_markup() -> None:
    folder = Path(es_randomized.__file__).parent / "cli"
    assert [
        path.name for path in folder.glob("*.py") if path.name != "console.py" and " Console(" in path.read_text()
    ] == []


def test_an_exception_in_code_of_ones_own_shows_that_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def rollout(values: object) -> object:
        raise ZeroDivisionError("no cycles")

    def through_jax(*_: object) -> None:
        jax.jit(rollout)(1.0)

    monkeypatch.setattr("es_randomized.cli.show.load", through_jax)
    result = run_here("show", TINY)
    assert result.returncode == 1
    assert "code of your own raised ZeroDivisionError" in result.stderr
    assert 'raise ZeroDivisionError("no cycles")' in result.stderr
    assert {line.split('"')[1] for line in result.stderr.splitlines() if "File " in line} == {__file__}


def test_a_mistake_of_this_package_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("es_randomized.cli.show.driver_of", json.loads)  # of an experiment: raises in the library
    with pytest.raises(TypeError, match="JSON object must be str"):
        run_here("show", TINY)
