"""Who should be started, and where: workers anywhere, or supervisors of machines or of groups of them."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ray
from ray import ObjectRef
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from es_randomized.distributed.messages import Step, pass_on, send_call
from es_randomized.distributed.ray_internals import draining_nodes
from es_randomized.distributed.resolution import demands
from es_randomized.distributed.shape import Fanout, Shape, shape_of


class Place(NamedTuple):
    """Where something is started, and how many workers it is or looks after.

    Attributes:
        node: id of the machine, or name of the group; None: wherever there is room.
    """

    node: str | None = None
    workers: int = 1


ANYWHERE = Place()


class Staff(ABC):
    """Starts what a pool consists of.

    Attributes:
        send: asks one of them for units of a step, of which it can expect so many more; returns the reference of the answer.
    """

    send: Callable[[ActorHandle, Step, list[int], int], ObjectRef]

    @abstractmethod
    def missing(self, present: Sequence[Place]) -> list[Place]:
        """What should be started now, beside what stays or is starting."""

    @abstractmethod
    def start(self, place: Place) -> tuple[ActorHandle, ObjectRef]:
        """Start one; the reference is of its `WorkerInfo`, which comes when it is ready."""

    def going(self) -> set[str]:
        """Machines that are about to go."""
        return draining_nodes()

    def there(self, place: Place) -> bool:
        """Whether something can still be started there."""
        return True


class Workers(Staff):
    """Workers, wherever there is room.

    Args:
        actor: of the worker, as a remote class.
        wanted: how many there should be now.
    """

    send = staticmethod(send_call)

    def __init__(self, actor: Any, arguments: Sequence[object], wanted: Callable[[], int]) -> None:
        self._actor, self._arguments, self._wanted = actor, arguments, wanted

    def missing(self, present: Sequence[Place]) -> list[Place]:
        return [ANYWHERE] * (self._wanted() - len(present))

    def start(self, place: Place) -> tuple[ActorHandle, ObjectRef]:
        actor = self._actor.remote(*self._arguments)
        return actor, actor.ready.remote()


class WorkersHere(Workers):
    """So many workers of this machine, for as long as this process lives: Ray ends what it started."""

    def __init__(self, actor: Any, arguments: Sequence[object], workers: int) -> None:
        here = actor.options(scheduling_strategy=NodeAffinitySchedulingStrategy(this_machine(), soft=False))
        super().__init__(here, arguments, lambda: workers)

    def going(self) -> set[str]:
        return set()  # that is for the coordinator to know


class Supervisors(Staff):
    """A supervisor on every machine that takes workers.

    Args:
        actor: of the supervisor, as a remote class.
        arguments: of every one, after its place.
        rooms: machines, and how many workers each can have now.
        workers: how many there should be altogether; None: as many as the machines take.
    """

    send = staticmethod(pass_on)

    def __init__(
        self, actor: Any, arguments: Sequence[object], rooms: Callable[[], Mapping[str, int]], workers: int | None
    ) -> None:
        self._actor, self._arguments, self._rooms, self._workers = actor, arguments, rooms, workers

    def missing(self, present: Sequence[Place]) -> list[Place]:
        gone = {place.node for place in present} | self.going()
        free = {node: room for node, room in self._rooms().items() if node not in gone}
        return shared_out(free, self._workers and self._workers - sum(place.workers for place in present))

    def start(self, place: Place) -> tuple[ActorHandle, ObjectRef]:
        there = NodeAffinitySchedulingStrategy(self._machine(place), soft=False)
        actor = self._actor.options(scheduling_strategy=there).remote(place, *self._arguments)
        return actor, actor.ready.remote()

    def there(self, place: Place) -> bool:
        return place.node in self._rooms()

    def _machine(self, place: Place) -> str:
        assert place.node is not None
        return place.node


class Groups(Supervisors):
    """A supervisor for every group of machines; all of them on this machine, without which there is no run either."""

    def going(self) -> set[str]:
        return set()

    def _machine(self, place: Place) -> str:
        return this_machine()


def this_machine() -> str:
    """Ray's id of the machine that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def shape_here(workers: int | None, devices: int, asked: Fanout | None = None) -> Shape:
    """Who hands out to whom on this cluster; see `shape_of`."""
    kind, _ = demands(devices)
    return shape_of(list(machines(kind, devices).values()), workers, asked)


def machines(kind: str, each: int, group: int = 0, groups: int = 1) -> dict[str, int]:
    """Machines of the cluster, or of a group, by their ids, and how many workers each can have.

    Args:
        kind: of Ray's resources that a worker needs.
        each: how many of it.
    """
    rooms = {node["NodeID"]: int(node["Resources"].get(kind, 0)) // each for node in ray.nodes() if node["Alive"]}
    return {node: room for node, room in rooms.items() if room and group_of(node, groups) == group}


def group_of(node: str, groups: int) -> int:
    """The group that a machine belongs to, whoever else is there: ids are random."""
    return int(node, 16) % groups


def groups_of_machines(kind: str, each: int, groups: int) -> dict[str, int]:
    """The groups that have machines, by their names, and how many workers each can have."""
    rooms = Counter[str]()
    for node, room in machines(kind, each).items():
        rooms[str(group_of(node, groups))] += room
    return dict(rooms)


def shared_out(free: dict[str, int], workers: int | None) -> list[Place]:
    """Places for so many workers, as evenly as the rooms of the machines allow; None: all the room there is."""
    if workers is None:
        return [Place(node, room) for node, room in free.items()]
    places, left = [], workers
    for index, (node, room) in enumerate(sorted(free.items(), key=lambda item: item[1])):  # the smallest first
        count = min(room, -(-left // (len(free) - index)))
        if count > 0:
            places.append(Place(node, count))
            left -= count
    return places
