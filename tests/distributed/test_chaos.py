"""A short version of `python -m tests.chaos`: machines come and go under one run, which ends with the undisturbed bits."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import chaos

# In a process of its own: starting Ray's processes forks, which one that has computed with JAX must not.
SCRIPT = """
import random, sys
from pathlib import Path
from es_randomized.clusters.spot_notice import this_node
from tests import chaos
class OldestFirst(random.Random):
    # The oldest node surely has a worker. A newer one's may still be starting, and a log says nothing of losing that.
    def choice(self, items):
        return items[0]
events = [(3, "pause worker"), (8, "add node"), (14, "kill node"), (20, "drain node"), (26, "notice")]
with chaos.cluster() as nodes:
    nodes_here = [nodes.cluster.head_node, *nodes.alive]
    assert this_node(nodes.cluster.address) in [node.node_id for node in nodes_here]
    sys.exit(chaos.survive(events, OldestFirst(), nodes, Path(sys.argv[1]), hold=True))
"""


@pytest.mark.cluster
def test_a_run_among_coming_and_going_machines_has_the_undisturbed_bits(tmp_path: Path) -> None:
    expected = chaos.reference(tmp_path / "reference")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run")]
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    assert chaos.same(tmp_path / "run", expected)
    log = (tmp_path / "run" / "run.log").read_text()
    assert "was issued again because it was late" in log
    assert "a worker died; starting another" in log
    assert log.count("is about to go") == 2  # drained, and given notice
