"""Whom the coordinator hands out to, and whom those hand out to, down to the workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray

from es_randomized.distributed.shape import Fanout, groups_of
from es_randomized.distributed.staff import (
    Groups,
    Place,
    Staff,
    Supervisors,
    Workers,
    WorkersHere,
    groups_of_machines,
    machines,
)
from es_randomized.distributed.supervisor import CALLS, Supervisor

# A record of every call for Ray's dashboard would be most of what travels; the timeline keeps our own.
OPTIONS = {"max_restarts": 0, "max_task_retries": 0, "enable_task_events": False}


@dataclass(frozen=True)
class Levels:
    """What every level needs to start the next one; it travels to all of them.

    Attributes:
        worker: class of the actors that compute.
        options: what Ray should know of a worker.
        arguments: of a worker.
        kind: of Ray's resources that workers need.
        devices: of a worker.
        versions: see `Pool`.
        mixed: see `Pool`.
    """

    worker: type
    options: Mapping[str, Any]
    arguments: tuple[object, ...]
    kind: str
    devices: int
    versions: Mapping[str, str | None]
    mixed: bool

    def top(self, fanout: Fanout, workers: int | None, wanted: Callable[[], int]) -> Staff:
        """Whom the coordinator hands out to.

        Args:
            workers: how many there should be; None: as many as the machines take.
            wanted: the same as a number that there should be now.
        """
        if fanout == "flat":
            return Workers(self._actor(), self.arguments, wanted)
        if fanout == "tree":
            return self._supervisors(workers)
        groups = groups_of(len(machines(self.kind, self.devices)))
        rooms = partial(groups_of_machines, self.kind, self.devices, groups)
        return Groups(*self._supervisor(partial(self._machines, groups, workers is None)), rooms, workers)

    def _machines(self, groups: int, all_there_are: bool, place: Place) -> Staff:
        """Whom the supervisor of a group hands out to."""
        assert place.node is not None
        return self._supervisors(None if all_there_are else place.workers, int(place.node), groups)

    def _supervisors(self, workers: int | None, group: int = 0, groups: int = 1) -> Staff:
        rooms = partial(machines, self.kind, self.devices, group, groups)
        return Supervisors(*self._supervisor(self._workers_here), rooms, workers)

    def _workers_here(self, place: Place) -> Staff:
        """Whom the supervisor of a machine hands out to."""
        return WorkersHere(self._actor(), self.arguments, place.workers)

    def _actor(self) -> Any:
        return ray.remote(**{**self.options, **OPTIONS})(self.worker)

    def _supervisor(self, staff: Callable[[Place], Staff]) -> tuple[Any, tuple[object, ...]]:
        """A supervisor as a remote class, and its arguments after its place."""
        own: dict[str, Any] = OPTIONS | {"num_cpus": 0, "max_concurrency": CALLS}
        return ray.remote(**own)(Supervisor), (staff, self.devices, self.versions, self.mixed)
