"""Which nodes of a case may see which: a task says it with one of these objects, and a model may refuse it.

A kind of your own is a frozen dataclass derived from `Connectivity`, together with a model that knows it.
"""

from dataclasses import dataclass


class Connectivity:
    """Which nodes see which. Equal objects mean the same."""

    @property
    def silent(self) -> int:
        """Leading nodes from which no output is read."""
        return 0


@dataclass(frozen=True)
class Single(Connectivity):
    """There is one node; token by token it also sees the tokens it was given before."""


@dataclass(frozen=True)
class Ring(Connectivity):
    """Each node sees its two neighbours on a cycle, which has no direction: it cannot tell them apart."""


@dataclass(frozen=True)
class Causal(Connectivity):
    """Each node sees itself and all nodes before it."""


@dataclass(frozen=True)
class Store(Connectivity):
    """The first `stored` nodes are a causal sequence without outputs; each of the others sees all of them and itself."""

    stored: int

    @property
    def silent(self) -> int:
        return self.stored
