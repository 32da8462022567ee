"""Every worker gets a core of its own, and a dead worker's core is free at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLAIM = """
import os, sys
from pathlib import Path
from es_randomized.distributed.cores import claim_cores
claim = claim_cores(Path(sys.argv[1]), 1)
print(next(iter(claim)) if claim else "none", sorted(os.sched_getaffinity(0)), flush=True)
sys.stdin.read()
"""


def claimant(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CLAIM, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not pin processes")
def test_cores_are_claimed_once_and_freed_by_death(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    claimants = [claimant(tmp_path) for _ in cores]
    try:
        answers = {answer(process) for process in claimants}
        assert answers == {f"{core} [{core}]" for core in cores}
        late = claimant(tmp_path)
        claimants.append(late)
        assert answer(late) == f"none {cores}"
        claimants[0].kill()
        claimants[0].wait()
        heir = claimant(tmp_path)
        claimants.append(heir)
        assert answer(heir).split()[0].isdigit()
    finally:
        for process in claimants:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
