"""However a command ends, what it started ends with it."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from es_randomized.runs.journal import generations_in
from tests.tools.command import TINY, started, wait_until
from tests.tools.processes import below, gone

CODE = """
import subprocess, sys, time, psutil
from es_randomized.distributed.survivors import ended_with_this_process
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with ended_with_this_process([psutil.Process(child.pid)]):
    print(child.pid, flush=True)
    time.sleep(600 if sys.argv[1] == "killed" else 0)
print("left", flush=True)
child.wait()
"""


@pytest.mark.parametrize("how", ["killed", "left"])
def test_they_end_with_the_process_or_the_block(how: str) -> None:
    command = [sys.executable, "-c", CODE, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        if how == "killed":
            assert not gone(child)
            process.kill()
        wait_until(lambda: gone(child), "the end of the child")
        assert process.wait(60) == (0 if how == "left" else -signal.SIGKILL)


SWEEP = """
base: {tiny}
set: {{budget.generations: 1000000}}
search: {{parameters: {{driver.std: {{values: [0.1, 0.2]}}}}}}
seeds: [1]
"""


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("command", "number"), [("train", signal.SIGKILL), ("train", signal.SIGTERM), ("sweep", signal.SIGINT)]
)
def test_nothing_of_ray_stays(command: str, number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(SWEEP.format(tiny=TINY))
    arguments = {
        "train": [TINY, "--no-evaluate", "--run", tmp_path / "out", "--budget.generations", 1_000_000],
        "sweep": [tmp_path / "two.yaml", "--out", tmp_path / "out"],
    }[command]
    with started(command, *arguments) as process:
        began = lambda: any(generations_in(path) > 2 for path in (tmp_path / "out").rglob("journal.bin"))  # noqa: E731
        wait_until(began, "some generations")
        family = below(process.pid)
        assert below(process.pid, "Agent")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        wait_until(lambda: all(map(gone, family)), "the end of what it started")
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert err.count("stopping; Ctrl-C again ends at once") == (number != signal.SIGKILL)
    assert "Traceback" not in err
