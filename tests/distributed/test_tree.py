"""With a supervisor on every machine a run has the bits it has without, also when workers and supervisors are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import chaos

pytestmark = pytest.mark.cluster

# In a process of its own, as in test_chaos.py: two machines of two workers each.
SCRIPT = """
import signal, sys
from pathlib import Path
from tests import chaos
from tests.tools.command import generations_in, started, wait_until
from tests.tools.processes import below, gone

def processes(name):
    return [each for node in nodes.alive for each in below(node.all_processes["raylet"][0].process.pid, name)]

folder = Path(sys.argv[1])
with chaos.cluster(cpus=2) as nodes:
    command = ["train", *chaos.RUN, "--run", folder, "--address", nodes.cluster.address, "--no-evaluate"]
    with started(*command, "--fanout", "tree", **chaos.ENVIRONMENT) as process:
        log = folder / "run.log"
        wait_until(lambda: generations_in(folder) >= 2 or process.poll() is not None, "two generations")
        wait_until(lambda: len(processes("ray::Worker")) == 4, "all workers")
        assert len(processes("ray::Supervisor")) == 2
        processes("ray::Worker")[0].send_signal(signal.SIGKILL)
        wait_until(lambda: "its supervisor starts another" in log.read_text(), "the loss to be told")
        victim = processes("ray::Supervisor")[-1]
        theirs = below(victim.ppid(), "ray::Worker")
        assert len(theirs) == 2
        victim.send_signal(signal.SIGKILL)
        wait_until(lambda: all(map(gone, theirs)), "the end of its workers")
        reached = generations_in(folder)
        output, errors = process.communicate(timeout=200)
    print(reached, output, errors)
    assert reached < chaos.GENERATIONS, "everything happened after the run"
    wait_until(lambda: not processes("ray::Worker") + processes("ray::Supervisor"), "the end of everything")
    sys.exit(process.returncode)
"""


def test_killed_workers_and_supervisors_change_no_bit_and_leave_nobody(tmp_path: Path) -> None:
    expected = chaos.reference(tmp_path / "reference")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run")]
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr
    assert chaos.same(tmp_path / "run", expected)
    log = (tmp_path / "run" / "run.log").read_text()
    assert "handing out: tree (asked for)" in log
    assert "died; starting another (" in log
