"""Run trials on the current Ray session: Ray places their processes, a loop takes their reports and decides.

Why not Ray Tune: the state of trials is their run folders, several of them share a process and are stopped one by one, and a
sweep that was interrupted goes on with the decisions it would have made. Tune promises none of this: it had to be given made-up
trials, and its own state was thrown away. What is needed is small and tested here: processes that Ray places by their
resources, the loop below, twenty lines of successive halving (halving.py) with Tune's decisions, and searches that are
functions of what was tried (searches/), Optuna's samplers among them.
"""

from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from es_randomized.errors import ClusterError
from es_randomized.session import stopping_gently
from es_randomized.trials.attempt import Assignment
from es_randomized.trials.process import TrialProcess
from es_randomized.trials.queue import Queue
from es_randomized.trials.sweep import Resources

LOST_PROCESSES = 2  # of the same trials: they begin again where their journals end
SECONDS_BETWEEN_CHECKS = 1.0  # for Ctrl-C and for machines that joined


@dataclass(eq=False)
class Running:
    """A process on the cluster, or one that waits for its place there.

    Attributes:
        actor: Ray's handle.
        assignments: its trials.
        lost: how many processes of these trials were lost before.
        answered: whether it is known to have a place.
    """

    actor: Any
    assignments: list[Assignment]
    lost: int
    answered: bool = False


def run_on_ray(queue: Queue, resources: Resources) -> None:
    """Run what is left. The first Ctrl-C lets trials save and stop, a second one ends them at once.

    Raises:
        ClusterError: no machine has the resources of a process.
    """
    refuse_without_resources(resources, machines())
    loop = Loop(queue, resources)
    with stopping_gently() as stop:
        while not stop and loop.step():
            pass
    loop.close()


class Loop:
    """Keeps the cluster busy with the trials of a queue."""

    def __init__(self, queue: Queue, resources: Resources) -> None:
        self._queue, self._resources = queue, resources
        self._calls: dict[ray.ObjectRef, Running] = {}
        self._closing = False

    def step(self) -> bool:
        """Start processes, take the reports that are there; returns whether anything is left to do."""
        # One more than there are places: clusters that grow by themselves do so for what waits.
        while len(self._calls) <= places(self._resources, machines()) and (assignments := self._queue.group()):
            self._start(assignments)
        self._take_reports(SECONDS_BETWEEN_CHECKS)
        return bool(self._calls)

    def close(self) -> None:
        """Let the trials save, and end their processes."""
        self._closing = True
        for call, running in list(self._calls.items()):
            if not running.answered:  # it may wait for its place for long, and its journal has what it did
                ray.kill(running.actor)
                del self._calls[call]
        while self._calls:
            self._take_reports()

    def _start(self, assignments: list[Assignment], lost: int = 0) -> None:
        place: Any = ray.remote(num_cpus=self._resources.cores, num_gpus=self._resources.gpus)
        actor = place(TrialProcess).remote(assignments, self._resources)
        self._ask(Running(actor, assignments, lost))

    def _ask(self, running: Running) -> None:
        method = running.actor.close if self._closing else running.actor.next
        self._calls[method.remote()] = running

    def _take_reports(self, timeout: float | None = None) -> None:
        for call in ray.wait(list(self._calls), timeout=timeout)[0] if self._calls else ():
            running = self._calls.pop(call)
            try:
                report = ray.get(call)
            except RayError as error:
                self._lost(running, error)
                continue
            running.answered = True
            if report is None:
                ray.kill(running.actor)
            else:
                self._queue.take(report)
                self._ask(running)

    def _lost(self, running: Running, error: RayError) -> None:
        """Begin the trials of a lost process again, or give them up."""
        ray.kill(running.actor)
        left = self._queue.left(running.assignments)
        if running.lost == LOST_PROCESSES:
            reason = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
            self._queue.lost(left, f"its process was lost {LOST_PROCESSES + 1} times; the last time: {reason}")
        elif left and not self._closing:
            self._start(left, running.lost + 1)


def machines() -> list[dict[str, float]]:
    """How much of what every machine of the cluster has, in Ray's words."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def places(resources: Resources, machines: list[dict[str, float]]) -> int:
    """How many processes fit on machines that have nothing else to do."""
    needs = _needs(resources)
    return sum(int(min(machine.get(kind, 0) / count for kind, count in needs.items())) for machine in machines)


def refuse_without_resources(resources: Resources, machines: list[dict[str, float]]) -> None:
    """Say now what Ray would wait for without end: one of the machines must have all that a process needs.

    Raises:
        ClusterError: none has.
    """
    if not places(resources, machines):
        needs = _needs(resources)
        has = "; ".join(", ".join(f"{machine.get(kind, 0):g} {kind}" for kind in needs) for machine in machines)
        asked = ", ".join(f"{count:g} {kind}" for kind, count in needs.items())
        raise ClusterError(
            f"a process needs {asked} on one machine, as its resources: say, but the machines have: {has}; "
            "ask for less, or join a larger cluster with --address"
        )


def _needs(resources: Resources) -> dict[str, float]:
    return {"CPU": float(resources.cores)} | ({"GPU": resources.gpus} if resources.gpus else {})
