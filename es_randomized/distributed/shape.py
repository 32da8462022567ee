"""Who hands out to whom: the coordinator to all workers itself (flat), or to a supervisor on every machine (tree)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

Fanout: TypeAlias = Literal["flat", "tree"]

FLAT = 64  # workers that the coordinator serves itself as fast as through supervisors, measured
SEVERAL = 4  # workers of a machine, on average, that are worth a supervisor


class Shape(NamedTuple):
    """Who hands out to whom, and why, for people."""

    fanout: Fanout
    why: str


def rule() -> str:
    """When which shape is chosen, for people."""
    return f"flat up to {FLAT} workers; beyond, by a supervisor on every machine if machines have {SEVERAL} workers or more"


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
    return Shape("tree", f"{machines}: a supervisor a machine, since more than {FLAT} keep the coordinator busy")
