"""With supervisors of machines and groups a run has the bits it has without, also when workers and supervisors are killed."""

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

def processes(name, head=False):
    there = [nodes.cluster.head_node] if head else nodes.alive
    return [each for node in there for each in below(node.all_processes["raylet"][0].process.pid, name)]

folder, fanout = Path(sys.argv[1]), sys.argv[2]
with chaos.cluster(cpus=2) as nodes:
    command = ["train", *chaos.RUN, "--run", folder, "--address", nodes.cluster.address, "--no-evaluate"]
    with started(*command, "--fanout", fanout, **chaos.ENVIRONMENT) as process:
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
        for group in processes("ray::Supervisor", head=True):
            everybody = processes("ray::Worker") + processes("ray::Supervisor")
            group.send_signal(signal.SIGKILL)
            wait_until(lambda: all(map(gone, everybody)), "the end of its machines' supervisors and workers")
        reached = generations_in(folder)
        output, errors = process.communicate(timeout=200)
    print(reached, output, errors)
    assert reached < chaos.GENERATIONS, "everything happened after the run"
    wait_until(lambda: not processes("ray::Worker") + processes("ray::Supervisor"), "the end of everything")
    assert not processes("ray::Supervisor", head=True)
    sys.exit(process.returncode)
"""


@pytest.mark.parametrize("fanout", ["tree", "groups"])
def test_killed_workers_and_supervisors_change_no_bit_and_leave_nobody(fanout: str, tmp_path: Path) -> None:
    expected = chaos.reference(tmp_path / "reference")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), fanout]
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr
    assert chaos.same(tmp_path / "run", expected)
    log = (tmp_path / "run" / "run.log").read_text()
    assert f"handing out: {fanout} (asked for)" in log
    assert "died; starting another (" in log
