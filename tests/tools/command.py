"""Run the real command, in this process or in one of its own; watch it, and leave nothing behind."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import psutil

from es_randomized.cli.main import main
from tests.tools.processes import below

TINY = Path(__file__).parents[1] / "tiny.yaml"
TINY_GRADIENT = TINY.with_name("tiny_gradient.yaml")
PATIENCE = 300.0  # seconds; a machine may be busy, and a test that hangs is not a matter of minutes


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `es-randomized` to its end."""
    with started(*arguments, **environment) as process:
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_here(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, seconds faster, where a process of its own is not the point. JAX is set up already."""
    command = ["es-randomized", *map(str, arguments)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "200"} | environment),
        mock.patch.object(sys, "argv", command),
        mock.patch.object(sys, "path", list(sys.path)),
        mock.patch("es_randomized.compilation.configure"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


@contextmanager
def started(*arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A running `es-randomized`; what it started is gone when the block ends."""
    command = [sys.executable, "-m", "es_randomized", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "200"} | environment,
    )
    family: dict[int, psutil.Process] = {}
    try:
        yield process
    finally:
        if process.poll() is None:
            family = {child.pid: child for child in psutil.Process(process.pid).children(recursive=True)}
            process.kill()
        process.wait()
        for child in family.values():
            with suppress(psutil.NoSuchProcess):
                child.kill()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The Ray workers a running command started."""
    return below(process.pid, "ray::Worker")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)


def generations_in(run_folder: Path) -> int:
    """Whole generations in a run's journal, or 0."""
    from es_randomized.runs.journal import read

    journal = run_folder / "journal.bin"
    return len(read(journal).losses) if journal.exists() and journal.stat().st_size >= 16 else 0


def final_snapshot(run_folder: Path) -> bytes:
    """Bytes of the newest snapshot."""
    return max((run_folder / "snapshots").glob("*.safetensors")).read_bytes()
