"""Random schedules of failure on a cluster of several real nodes; every run must end with the reference run's exact bits.

    python -m tests.chaos --schedules 200
    python -m tests.chaos --schedules 100 --fanout groups        supervisors of machines and of their group are killed as well

A schedule is a few events at random times: a worker killed or paused, a node killed, added or drained, or given notice by its
cloud's metadata server, which its watcher reads; the coordinator killed and the run resumed. Prints a table and writes
benchmarks/results/chaos.json, or chaos_groups.json and the like, after every schedule. A soak that was stopped goes on with
`--first`: it repeats what went wrong, and says which revision ran the schedules before.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from es_randomized.clusters import spot_notice
from es_randomized.distributed.ray_internals import LOOPBACK_ONLY, NICENESS, several_nodes
from tests.tools.command import TINY, final_snapshot, generations_in, run, started
from tests.tools.metadata import serving
from tests.tools.processes import below

NODES = 2
GENERATIONS = 40
RUN = [TINY, "--batch.instances", 32, "--batch.seeds", 32, "--plan.tile", 4, "--budget.generations", GENERATIONS]
EVENTS = ("kill worker", "pause worker", "kill node", "add node", "drain node", "kill coordinator", "notice")
SUPERVISED = (*EVENTS, "kill supervisor")
PREEMPTION = "DRAIN_NODE_REASON_PREEMPTION"  # Ray refuses to drain busy machines for being idle
CLOUDS = {"aws": "AWS_EC2_METADATA_SERVICE_ENDPOINT", "gcp": "GCE_METADATA_HOST"}  # what names their metadata server
PATIENCE = 60.0  # seconds for a watcher to see a notice and tell Ray
NOTICE = 4.0  # seconds from a node's notice to its end
LIMIT = 240.0  # seconds after which a run counts as hanging
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


def schedule(number: int, events: tuple[str, ...] = EVENTS) -> list[tuple[int, str]]:
    """(generation, event) pairs of one schedule: the first ones have one event each, later ones are mixed."""
    chance = random.Random(number)
    kinds = [events[number]] if number < len(events) else chance.choices(events, k=chance.randrange(1, 4))
    return sorted((chance.randrange(1, GENERATIONS - 5), kind) for kind in kinds)


def act(kind: str, nodes: Nodes, process: Any, chance: random.Random) -> list[psutil.Process]:
    """Make one event happen; returns processes it paused."""
    if kind in ("kill worker", "pause worker"):
        if workers := nodes.workers():
            victim = chance.choice(workers)
            with suppress(psutil.Error):
                victim.send_signal(signal.SIGKILL if kind == "kill worker" else signal.SIGSTOP)
            return [victim] if kind == "pause worker" else []
    elif kind == "kill supervisor":
        if supervisors := nodes.supervisors():
            with suppress(psutil.Error):
                chance.choice(supervisors).kill()
    elif kind == "kill node":
        nodes.kill(chance)
        nodes.add()  # the autoscaler's answer
    elif kind == "add node":
        nodes.add()
    elif kind in ("drain node", "notice"):
        (nodes.drain if kind == "drain node" else nodes.notice)(chance)
        nodes.add()
    elif kind == "kill coordinator":
        process.send_signal(signal.SIGKILL)
    return []


def survive(
    left: list[tuple[int, str]],
    chance: random.Random,
    nodes: Nodes,
    folder: Path,
    hold: bool = False,
    fanout: str = "flat",
) -> str | None:
    """Run one schedule to its end; returns what went wrong, or None.

    Args:
        hold: stop the coordinator while an event is made, so that the run cannot end meanwhile: a new node takes seconds.
    """
    left = list(left)
    command: list[Any] = ["train", *RUN, "--run", folder]
    deadline, paused = time.monotonic() + LIMIT, []
    while True:
        cluster = ["--address", nodes.cluster.address, "--fanout", fanout]
        with started(*command, *cluster, "--no-evaluate", **ENVIRONMENT) as process:
            while process.poll() is None:
                if left and generations_in(folder) >= left[0][0]:
                    if hold:
                        process.send_signal(signal.SIGSTOP)
                    paused += act(left.pop(0)[1], nodes, process, chance)
                    if hold:
                        process.send_signal(signal.SIGCONT)
                nodes.end_leaving(time.monotonic())
                if time.monotonic() > deadline:
                    return f"did not end within {LIMIT:.0f} s, at generation {generations_in(folder)}"
                time.sleep(0.02)
            code, errors = process.returncode, process.stderr.read() if process.stderr else ""
        for victim in paused:
            with suppress(psutil.Error):
                victim.kill()
        if code == 0:
            return None
        if code != -signal.SIGKILL:
            return f"ended with {code}: {errors.strip().splitlines()[-1:]}"
        command = ["resume", folder] if (folder / "experiment.yaml").exists() else command


def reference(folder: Path) -> Path:
    """The same run in one process, undisturbed."""
    result = run("train", *RUN, "--local", "--no-evaluate", "--run", folder)
    assert result.returncode == 0, result.stderr
    return folder


def same(folder: Path, other: Path) -> bool:
    """Whether two runs have the same losses and the same final state, bit for bit."""
    journals = [(run_folder / "journal.bin").read_bytes() for run_folder in (folder, other)]
    return journals[0] == journals[1] and final_snapshot(folder) == final_snapshot(other)


def soak(numbers: list[int], before: dict[str, Any], fanout: str) -> Iterator[dict[str, Any]]:
    """Run the schedules; what is known after each of them, with what was known `before`."""
    wrong_before = {each["schedule"]: each for each in before.get("wrong", [])}
    events = EVENTS if fanout == "flat" else SUPERVISED
    known = {
        "events": [*events],
        "seconds": 0.0,
        "schedules": 0,
        "by kind": {},
        "was wrong": [],
        "earlier revisions": {},
    } | before
    by_kind, repeated, wrong = Counter(known["by kind"]), set(wrong_before) & set(numbers), []
    with tempfile.TemporaryDirectory() as temporary:
        expected = reference(Path(temporary) / "reference")
        with cluster(1 if fanout == "flat" else 2) as nodes:
            for number in numbers:
                nodes.mend()
                planned = schedule(number, events)
                folder, began = Path(temporary) / f"schedule-{number}", time.monotonic()
                what = survive(planned, random.Random(number + 10**6), nodes, folder, fanout=fanout)
                what = what or ("" if same(folder, expected) else "other bits")
                known["seconds"] += time.monotonic() - began
                print(
                    f"{number:4d}  {time.monotonic() - began:5.1f} s  {what or 'same bits'}  {planned}",
                    flush=True,
                )
                if what:
                    wrong.append({"schedule": number, "events": planned, "what": what})
                if number in repeated:
                    known["was wrong"] = [*known["was wrong"], wrong_before.pop(number)]
                else:
                    known["schedules"] += 1
                    by_kind.update(kind for _, kind in planned)
                yield (
                    known
                    | {"by kind": dict(by_kind), "wrong": [*wrong_before.values(), *wrong]}
                    | counts([*wrong_before.values(), *wrong])
                )


def counts(wrong: list[dict[str, Any]]) -> dict[str, int]:
    """How many runs ended with other bits, and how many did not end."""
    diverged = sum(each["what"] == "other bits" for each in wrong)
    return {"diverged": diverged, "failed": len(wrong) - diverged}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fanout", choices=["flat", "tree", "groups"], default="flat")
    arguments = parser.parse_args()
    from benchmarks.record import RESULTS, record, recorded

    name = "chaos" if arguments.fanout == "flat" else f"chaos_{arguments.fanout}"
    numbers, before = list(range(arguments.first, arguments.first + arguments.schedules)), {}
    if arguments.first:
        before = {"wrong": [], "earlier revisions": {}} | recorded(name)
        if before.get("events") != [*(EVENTS if arguments.fanout == "flat" else SUPERVISED)]:
            parser.error("--first cannot go on: the events were others then, and so the numbers meant other schedules")
        if before.get("schedules") != arguments.first:
            parser.error(
                f"--first goes on after {before.get('schedules', 0)} recorded schedules, not {arguments.first}"
            )
        earlier = json.loads((RESULTS / f"{name}.json").read_text())["provenance"]["revision"]
        before["earlier revisions"].setdefault(f"before {arguments.first}", earlier)
        numbers = [each["schedule"] for each in before["wrong"]] + numbers
    for results in soak(numbers, before, arguments.fanout):
        record(name, results)
    print(json.dumps(results, indent=2))
    raise SystemExit(bool(results["wrong"]))
