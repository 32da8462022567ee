"""Ray clusters of several nodes on this machine, as Ray processes of their own; nodes come, go, die and are given notice."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from es_randomized.clusters import spot_notice
from es_randomized.distributed.ray_internals import LOOPBACK_ONLY, NICENESS, several_nodes
from tests.tools.metadata import serving
from tests.tools.processes import below

NODES = 2
PREEMPTION = "DRAIN_NODE_REASON_PREEMPTION"  # Ray refuses to drain busy machines for being idle
CLOUDS = {"aws": "AWS_EC2_METADATA_SERVICE_ENDPOINT", "gcp": "GCE_METADATA_HOST"}  # what names their metadata server
PATIENCE = 60.0  # seconds for a watcher to see a notice and tell Ray
NOTICE = 4.0  # seconds from a node's notice to its end
# Loopback only, no token, workers not niced, and dead machines are noticed within seconds.
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    **LOOPBACK_ONLY,
    NICENESS: "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass
class Nodes:
    """A head that computes nothing and nodes of one core each, as Ray processes of their own.

    Attributes:
        cpus: of a node.
        alive: nodes, the oldest first.
        leaving: nodes that had their notice, and when they go.
    """

    cluster: Any
    cpus: int = 1
    alive: list[Any] = field(default_factory=list)
    leaving: list[tuple[float, Any]] = field(default_factory=list)

    def add(self) -> None:
        self.alive.append(self.cluster.add_node(num_cpus=self.cpus, object_store_memory=80 * 2**20))

    def mend(self) -> None:
        """Back to `NODES` nodes, none of them leaving."""
        self.end_leaving(float("inf"))
        while len(self.alive) > NODES:
            self.cluster.remove_node(self.alive.pop(), allow_graceful=False)
        while len(self.alive) < NODES:
            self.add()

    def kill(self, chance: random.Random) -> None:
        node = chance.choice(self.alive)
        self.alive.remove(node)
        for process in node.all_processes["raylet"]:
            process.process.kill()
        with suppress(Exception):
            self.cluster.remove_node(node, allow_graceful=False)

    def drain(self, chance: random.Random) -> None:
        """Tell Ray that a node is about to go."""
        node = chance.choice(self.alive)
        command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", self.cluster.address]
        command += ["--node-id", node.node_id, "--reason", PREEMPTION, "--reason-message", "a spot machine's notice"]
        subprocess.run([*command, "--deadline-remaining-seconds", "30"], check=True, capture_output=True)
        self._leaves(node)

    def notice(self, chance: random.Random) -> None:
        """Let a cloud's metadata server give a node notice; the node's watcher tells Ray."""
        node, (cloud, variable) = chance.choice(self.alive), chance.choice([*CLOUDS.items()])
        with serving() as (server, state):
            server = server.removeprefix("http://") if cloud == "gcp" else server
            watcher = [sys.executable, spot_notice.__file__, cloud, self.cluster.address, node.node_id]
            with subprocess.Popen(watcher, env=os.environ | {variable: server}, stderr=subprocess.PIPE) as process:
                while not state.asked and process.poll() is None:  # it watches, and there is nothing yet
                    time.sleep(0.02)
                state.notice = True
                _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors.decode()
        self._leaves(node)

    def _leaves(self, node: Any) -> None:
        self.alive.remove(node)
        self.leaving.append((time.monotonic() + NOTICE, node))

    def end_leaving(self, now: float) -> None:
        """End the nodes whose time has come."""
        for end, node in [*self.leaving]:
            if now >= end:
                self.leaving.remove((end, node))
                self.cluster.remove_node(node, allow_graceful=False)

    def workers(self) -> list[psutil.Process]:
        """Processes that evaluate, those of the oldest node first."""
        return self._named("ray::Worker", self.alive)

    def supervisors(self) -> list[psutil.Process]:
        """Of machines, and of groups of them, which are on the head."""
        return self._named("ray::Supervisor", [self.cluster.head_node, *self.alive])

    def _named(self, name: str, nodes: list[Any]) -> list[psutil.Process]:
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        return [process for raylet in raylets for process in below(raylet, name)]


@contextmanager
def cluster(cpus: int = 1) -> Iterator[Nodes]:
    """A cluster on this machine, gone when the block ends."""
    os.environ.update(ENVIRONMENT)
    nodes = Nodes(several_nodes({"num_cpus": 0, "object_store_memory": 80 * 2**20}), cpus)
    try:
        nodes.mend()
        yield nodes
    finally:
        nodes.cluster.shutdown()
