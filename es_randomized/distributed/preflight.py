"""Before a paid run: every machine of a cluster starts a worker with all its devices, evaluates a chunk, and answers messages."""

import statistics
import time
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump
from es_randomized.distributed.actor import WorkerActor
from es_randomized.distributed.pool import not_started, reason_of
from es_randomized.distributed.probe import Probe
from es_randomized.distributed.resolution import demands, resolved_there
from es_randomized.distributed.staff import machines
from es_randomized.distributed.verdict import Machine, judge
from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import ClusterError, ConfigError
from es_randomized.runs.provenance import deciding_versions

MESSAGES = 10  # of which the median counts
ARRAY_BYTES = 16 * 2**20


class ProbeActor(Probe, WorkerActor):
    """The probe as a Ray actor."""


def preflight(experiment: Experiment, seconds: float) -> tuple[list[Machine], list[str]]:
    """Ask every machine of the current Ray session that takes workers; see `session.connect`.

    Args:
        experiment: whose chunk is compiled and run.
        seconds: after which a machine that has not answered is one that does not.

    Returns:
        the machines, faults noted, and the addresses of those that take no workers.

    Raises:
        ConfigError: the experiment has nothing for workers.
        ClusterError: no machine takes workers.
        WorkerError: no device was free in time to make the plan.
    """
    deadline = time.monotonic() + seconds
    kind, _ = demands(1)
    driver = driver_of(resolved_there(experiment, 1, seconds))
    if driver.first_with_members() is None:
        raise ConfigError(f"driver.kind {experiment.driver.kind} has no members that workers could evaluate")
    rooms, addresses = machines(kind, 1), _addresses()
    asked = [Machine(node, addresses[node], room) for node, room in rooms.items()]
    if not asked:
        raise ClusterError(f"no machine of this cluster takes workers: none has a {kind}")
    probes = {machine.node: _probe(machine, driver.experiment, kind) for machine in asked}
    looks = {machine.node: probes[machine.node].look.remote() for machine in asked}
    ray.wait([*looks.values()], num_returns=len(looks), timeout=max(0.0, deadline - time.monotonic()))
    for machine in asked:
        _hear(machine, probes[machine.node], looks[machine.node], seconds)
    for probe in probes.values():
        ray.kill(probe)
    judge(asked, deciding_versions(), driver.experiment.plan.mixed_devices)
    return asked, [address for node, address in addresses.items() if node not in rooms]


def _addresses() -> dict[str, str]:
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


def _probe(machine: Machine, experiment: Experiment, kind: str) -> Any:
    """A probe with everything that a machine has."""
    _, options = demands(machine.room)
    there = NodeAffinitySchedulingStrategy(machine.node, soft=False)
    actor: Any = ray.remote(**options)(ProbeActor)
    return actor.options(scheduling_strategy=there).remote(
        dump(experiment), "" if kind == "CPU" else None, machine.room
    )


def _hear(machine: Machine, probe: Any, look: Any, seconds: float) -> None:
    """Note what a machine says, and how long messages to it take; or why it says nothing."""
    try:
        machine.seen = ray.get(look, timeout=0)
        _measure_link(machine, probe)
    except ray.exceptions.GetTimeoutError:
        machine.faults.append(
            f"no answer within {seconds:.0f} s: does another run have its devices (es-randomized cluster status)? If not, end "
            "this machine and start another, or give it more --seconds"
        )
    except ray.exceptions.RayTaskError as error:
        machine.faults.append(not_started(error.cause))
    except ray.exceptions.RayError as error:
        machine.faults.append(
            f"its worker died: {reason_of(error)}; see memory and disk there, or end this machine and start another"
        )


def _measure_link(machine: Machine, probe: Any) -> None:
    times = []
    for _ in range(MESSAGES):
        began = time.perf_counter()
        ray.get(probe.mirror.remote(), timeout=10.0)
        times.append(time.perf_counter() - began)
    machine.milliseconds = 1e3 * statistics.median(times)
    array = ray.put(np.zeros(ARRAY_BYTES, np.uint8))
    began = time.perf_counter()
    ray.get(probe.mirror.remote(array), timeout=60.0)
    machine.rate = 2 * ARRAY_BYTES / (time.perf_counter() - began) / 1e6
