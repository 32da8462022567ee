"""cluster/slurm.sh on a real Slurm: a controller and two nodes whose own names are 127.0.1.1."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.machines import OTHER, Lab, wait_until
from tests.lab.probe import opened
from tests.lab.slurm import BatchJob, Slurm
from tests.tools.command import final_snapshot, generations_in

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

TWO_NODES = "--nodes=2 --cpus-per-task=1"
ONE_NODE = "--nodes=1 --cpus-per-task=1"
SLOWLY = ["--batch.instances", "32", "--batch.seeds", "64", "--plan.tile", "4"]
FOR_EVER = [*SLOWLY, "--budget.generations", "100000"]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with Lab(["ctl", "c1", "c2"], debian=True) as lab:
        lab.clone("ctl")
        yield Slurm(lab)


def folder(slurm: Slurm, run: str) -> Path:
    return slurm.lab.home("ctl") / "es_randomized" / run


def train(slurm: Slurm, name: str, *arguments: str, options: str = TWO_NODES) -> BatchJob:
    return slurm.submit("train", "tiny.yaml", "--run", f"runs/{name}", "--no-evaluate", *arguments, options=options)


def until_trained(slurm: Slurm, name: str, job: BatchJob, generations: int) -> None:
    """Wait until a run has so many generations."""

    def there() -> bool:
        assert job.field("JobState") in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING"), job.output + job.log
        return generations_in(folder(slurm, f"runs/{name}")) >= generations

    wait_until(there, f"{generations} generations of {name}")


def idle(slurm: Slurm, patience: float = 20.0) -> None:
    """All nodes are free, and nothing of the jobs is left on them."""
    wait_until(lambda: all(slurm.state_of_node(node) == "IDLE" for node in slurm.nodes), "idle nodes", patience)
    for node in slurm.nodes:
        assert slurm.lab.rays(node) == []
        assert slurm.lab.run(node, "ls -d /tmp/esr-*", check=False).startswith("ls: cannot access")
    assert slurm.lab.run("ctl", "ls .ray") == ""


def test_a_run_to_its_end(slurm: Slurm) -> None:
    """On both nodes, with the bits of a run on one machine; strangers and other users get nothing meanwhile."""
    job = train(slurm, "end", "--workers", "2", *SLOWLY, "--budget.generations", "40")
    until_trained(slurm, "end", job, 1)
    for node in slurm.nodes:
        assert opened(slurm.lab, "ctl", node) == []
        modes = slurm.lab.run(node, "stat -c '%a %U' /tmp/esr-*")
        assert modes == "700 ops"
        refused = slurm.lab.run(node, "ls $(echo /tmp/esr-*)/ray", user=OTHER, check=False)
        assert "Permission denied" in refused
    job.until("COMPLETED")
    assert job.field("ExitCode") == "0:0"
    assert job.output.rstrip().splitlines()[-1].startswith("finished after 40 generations")
    assert "2 workers ready" in job.output
    assert "Ray runtime started" in job.log
    idle(slurm)
    alone = f"train tiny.yaml --local --no-evaluate --run runs/alone {' '.join(SLOWLY)} --budget.generations 40"
    slurm.lab.run("ctl", f"cd es_randomized; .venv/bin/python -m es_randomized {alone}")
    assert final_snapshot(folder(slurm, "runs/end")) == final_snapshot(folder(slurm, "runs/alone"))


def test_two_jobs_at_once(slurm: Slurm) -> None:
    jobs = [train(slurm, name, options=ONE_NODE) for name in ("first", "second")]
    for name, job in zip(("first", "second"), jobs, strict=True):
        job.until("COMPLETED")
        assert generations_in(folder(slurm, f"runs/{name}")) == 12
    idle(slurm)


def test_the_job_fails_as_its_command_does(slurm: Slurm) -> None:
    job = train(slurm, "wrong", "--batch.instnces", "3", options=ONE_NODE)
    job.until("FAILED")
    assert job.field("ExitCode") == "1:0"
    assert "did you mean instances?" in job.output.rstrip().splitlines()[-1]
    idle(slurm)


def test_the_job_fails_where_ray_does_not_start(slurm: Slurm) -> None:
    clone = slurm.lab.clone("ctl", "broken")
    bin = (clone / ".venv").resolve() / "bin"
    (clone / ".venv").unlink()
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(bin / "python")
    (clone / ".venv" / "bin" / "ray").write_text("#!/bin/sh\necho the port is taken >&2\nexit 1\n")
    (clone / ".venv" / "bin" / "ray").chmod(0o755)
    slurm.lab.give(clone)
    job = slurm.submit("train", "tiny.yaml", "--run", "runs/never", options=ONE_NODE, folder="broken")
    job.until("FAILED")
    assert job.field("ExitCode") == "1:0"
    assert re.fullmatch(r"Ray did not start on c\d; the last of slurm-\d+-ray.log:\n(the port is taken\n)+", job.output)
    idle(slurm)


def test_a_node_is_cut_off(slurm: Slurm) -> None:
    """The run goes on without it, and the job ends well."""
    job = train(slurm, "cut", "--workers", "2", *SLOWLY, "--budget.generations", "60")
    until_trained(slurm, "cut", job, 3)
    head = job.field("BatchHost")
    (other,) = [node for node in slurm.nodes if node != head]
    slurm.lab.cut(other)
    try:
        job.until("COMPLETED")
        assert job.field("ExitCode") == "0:0"
        assert generations_in(folder(slurm, "runs/cut")) == 60
    finally:
        slurm.lab.plug_in(other)
    slurm.lab.kill(other)  # what still runs there does not know that it is over
    slurm.lab.start(other)
    slurm.start(other)
    idle(slurm, 120)


def test_time_is_over_then_the_job_is_requeued_and_cancelled(slurm: Slurm) -> None:
    job = train(slurm, "limit", *FOR_EVER, options=f"{ONE_NODE} --time=2 --signal=B:USR1@60")
    until_trained(slurm, "limit", job, 1)
    wait_until(lambda: job.field("Restarts") == "1", "the job to be requeued")
    saved = generations_in(folder(slurm, "runs/limit"))
    assert "the time is nearly over: the job goes back into the queue, and resumes" in job.output
    until_trained(slurm, "limit", job, saved + 1)
    assert "the job was started again: resume runs/limit --no-evaluate" in job.output
    kept = generations_in(folder(slurm, "runs/limit"))
    job.cancel()
    job.until("CANCELLED")
    idle(slurm, 40)
    assert generations_in(folder(slurm, "runs/limit")) >= kept
    assert job.field("Restarts") == "1"


def test_the_first_node_loses_its_power(slurm: Slurm) -> None:
    """The job goes back into the queue and resumes by itself on what is left."""
    job = train(slurm, "power", *FOR_EVER, options=ONE_NODE)
    until_trained(slurm, "power", job, 3)
    head = job.field("BatchHost")
    saved = generations_in(folder(slurm, "runs/power"))
    slurm.lab.kill(head)
    try:
        until_trained(slurm, "power", job, saved + 3)
        assert job.field("BatchHost") != head
        assert "the job was started again: resume runs/power" in job.output
    finally:
        slurm.lab.start(head)
        slurm.start(head)
        job.cancel()
    idle(slurm, 120)
