"""Who hands out to whom: the coordinator to all workers (flat), to supervisors of machines (tree) or of their groups (groups)."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, NamedTuple, TypeAlias

Fanout: TypeAlias = Literal["flat", "tree", "groups"]

FLAT = 64  # workers that the coordinator serves itself as fast as through supervisors, measured
SEVERAL = 4  # workers of a machine, on average, that are worth a supervisor
MANY = 32  # machines; with more of them, groups are worth a supervisor


class Shape(NamedTuple):
    """Who hands out to whom, and why, for people."""

    fanout: Fanout
    why: str


def rule() -> str:
    """When which shape is chosen, for people."""
    return (
        f"flat up to {FLAT} workers; beyond, by a supervisor on every machine if machines have {SEVERAL} workers or more, "
        f"and by one for every group of machines if there are more than {MANY}"
    )


def shape_of(rooms: Sequence[int], workers: int | None, asked: Fanout | None) -> Shape:
    """The shape for a cluster.

    Args:
        rooms: for every machine, how many workers it can have.
        workers: how many there should be; None: as many as there can be.
        asked: what the user wants.
    """
    if asked:
        return Shape(asked, "asked for")
    count = workers or sum(rooms)
    machines = f"{count} workers on {len(rooms)} machine{'s' if len(rooms) > 1 else ''}"
    if count <= FLAT:
        return Shape("flat", f"{machines}: the coordinator serves up to {FLAT} itself as fast as through supervisors")
    if count < SEVERAL * len(rooms):
        return Shape("flat", f"{machines}: fewer than {SEVERAL} workers a machine are not worth a supervisor")
    if len(rooms) > MANY:
        return Shape(
            "groups",
            f"{machines}: a supervisor a machine, and one for each of {groups_of(len(rooms))} groups of machines",
        )
    return Shape("tree", f"{machines}: a supervisor a machine, since more than {FLAT} keep the coordinator busy")


def groups_of(machines: int) -> int:
    """How many groups so many machines make: as many as a group has machines, so that nobody serves many."""
    return max(1, round(sqrt(machines)))
