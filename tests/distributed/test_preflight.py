"""What is found out about machines before a run: a probe in this process, and verdicts on made-up machines."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from es_randomized import driver_of, load
from es_randomized.config.yaml import dump
from es_randomized.distributed.probe import Probe, Seen
from es_randomized.distributed.verdict import Machine, judge
from es_randomized.distributed.worker import WorkerInfo
from tests.tools.command import TINY, TINY_GRADIENT, run_here

VERSIONS = {"jax": "0.10.2", "numpy": "2.4"}
INFO = WorkerInfo("node", "L4", "gpu", VERSIONS, 1, 8)
SEEN = Seen(INFO, 2, 20.0, 0.1, ("a", "a"), 2**30)


def machine(seen: Seen | None = SEEN, milliseconds: float = 1.0) -> Machine:
    return Machine("node", "10.0.0.1", 2, seen, milliseconds, 500.0)


def faults(*machines: Machine, mixed: bool = False) -> list[list[str]]:
    judge(machines, VERSIONS, mixed)
    return [each.faults for each in machines]


def test_a_probe_computes_what_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)
    probe = Probe(dump(driver_of(load(TINY)).experiment), None)
    seen = probe.look()
    driver = driver_of(load(TINY))
    ask = driver.strategy.ask(driver.init(), 0)
    losses = np.asarray(driver.chunk_losses(ask.proposal, driver.chunks[0], driver.inputs(0)))
    assert set(seen.digests) == {hashlib.sha256(losses.tobytes()).hexdigest()}
    assert len(seen.digests) == seen.devices
    assert 0 < seen.warm < seen.started
    data = np.arange(5, dtype=np.uint8)
    assert probe.mirror() is None
    assert np.array_equal(probe.mirror(data), data)


def test_machines_that_agree_are_ready() -> None:
    assert faults(machine(), machine(SEEN._replace(warm=0.15), 9.0), machine()) == [[], [], []]
    assert faults(machine(SEEN._replace(warm=1e-4)), machine(SEEN._replace(warm=1e-3))) == [[], []]  # ms are nothing
    assert faults() == []


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (
            SEEN._replace(info=INFO._replace(versions=VERSIONS | {"jax": "0.9"})),
            "has jax 0.9, but this process has 0.10.2",
        ),
        (SEEN._replace(info=INFO._replace(device="T4")), "different kinds of device (L4, T4)"),
        (SEEN._replace(devices=1, digests=("a",)), "JAX finds 1 of its 2 devices"),
        (SEEN._replace(digests=("a", "b")), "its device 1 computes other losses"),
        (SEEN._replace(warm=0.3), "a chunk takes 300.0 ms, 3.0 times as long"),
    ],
)
def test_the_one_that_differs_is_named(odd: Seen, expected: str) -> None:
    good, bad, other = faults(machine(), machine(odd), machine())
    assert good == other == []
    (fault,) = bad
    assert expected in fault


def test_a_far_machine_is_named() -> None:
    _, (fault,), _ = faults(machine(), machine(milliseconds=40.0), machine())
    assert "a message takes 40.0 ms, 40 times as long as to most" in fault


def test_other_devices_may_compute_other_bits_where_they_may_work_together() -> None:
    other = SEEN._replace(info=INFO._replace(device="T4"), digests=("b", "b"), warm=0.9)
    assert faults(machine(), machine(), machine(other), mixed=True) == [[], [], []]


def test_who_did_not_answer_is_left_to_others() -> None:
    silent = replace(machine(None), faults=["no answer"])
    assert faults(silent, machine(), machine()) == [["no answer"], [], []]


def test_a_cluster_that_is_not_there_and_a_file_with_a_mistake_are_said_at_once() -> None:
    assert "budget.generation" in run_here("preflight", TINY, "--budget.generation", 3).stderr
    assert "should be" in run_here("preflight", TINY_GRADIENT, "--batch.seeds", 0).stderr
