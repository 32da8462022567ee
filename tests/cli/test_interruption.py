"""Signals end commands with 128 + signal: after saving, while evaluating, in sweeps, and at once the second time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from es_randomized import RunFolder
from es_randomized.runs.journal import generations_in
from tests.tools.command import TINY, run_here, started, wait_until

LONG = ["--budget.generations", 1_000_000]
ACKNOWLEDGED = "stopping; Ctrl-C again ends at once"

STUCK = """
import sys, time
import jax, numpy as np, jax.numpy as jnp
from es_randomized.cli import main as command

@command.cli.command("stuck")
def stuck():
    def wait(x):
        print("waiting", flush=True)
        time.sleep(3)
        return x
    shape = jax.ShapeDtypeStruct((), np.float32)
    jax.block_until_ready(jax.jit(lambda x: jax.pure_callback(wait, shape, x))(jnp.float32(1)))

sys.argv[1:] = ["stuck"]
command.main()
"""

LOST = """
import sys, time
from es_randomized.cli import main as command

class Finalized:
    def __del__(self):
        print("waiting", flush=True)
        time.sleep(3)

@command.cli.command("lost")
def lost():
    Finalized()
    time.sleep(600)

sys.argv[1:] = ["lost"]
command.main()
"""


def test_an_interrupted_run_says_so_and_is_saved(tmp_path: Path) -> None:
    number, run = signal.SIGTERM, tmp_path / "run"
    with started("train", TINY, "--local", "--no-evaluate", "--run", run, *LONG) as process:
        wait_until(lambda: generations_in(run / "journal.bin") > 2, "some generations")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert ACKNOWLEDGED in err
    assert f"resume with: es-randomized resume {run}" in out
    assert "Traceback" not in err
    assert max(int(path.stem) for path in RunFolder(run).snapshots.iterdir()) == generations_in(run / "journal.bin")


@pytest.mark.parametrize(("code", "number"), [(STUCK, signal.SIGINT), (LOST, signal.SIGINT), (LOST, signal.SIGTERM)])
def test_inside_a_callback_or_a_finalizer_it_is_not_swallowed(code: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.count(ACKNOWLEDGED) == 1  # and what JAX logs
    assert code == STUCK or "Exception ignored" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["evaluate", "a"], "es_randomized.cli.evaluate.evaluate"),
        (["sweep", TINY.with_name("tiny_sweep.yaml"), "--local"], "es_randomized.cli.sweep.run_study"),
        (["show", TINY], "es_randomized.cli.show.driver_of"),
    ],
)
def test_any_command_ends_with_the_signal(
    arguments, what: str, number: signal.Signals, tmp_path: Path, monkeypatch
) -> None:
    before = signal.getsignal(number)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(what, lambda *_, **__: signal.raise_signal(number))
    result = run_here(*arguments)
    assert result.returncode == 128 + number, result.stderr
    assert "Traceback" not in result.stderr
    assert signal.getsignal(number) is before


def test_the_second_one_ends_at_once(tmp_path: Path) -> None:
    """And what the command started: here a child that would sleep on."""
    code = (
        "import subprocess, sys, time, signal\n"
        "from es_randomized.cli import main as command\n"
        "@command.cli.command('busy')\n"
        "def busy():\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    print(child.pid, flush=True)\n"
        "    while True:\n"
        "        try:\n"
        "            time.sleep(600)\n"
        "        except KeyboardInterrupt:\n"
        "            pass\n"  # somebody who swallows the first one
        "sys.argv[1:] = ['busy']\n"
        "command.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        time.sleep(0.5)  # until it waits
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(5)
    assert process.returncode == 130
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
