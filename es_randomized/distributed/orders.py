"""What a supervisor was asked for, call by call.

An answer brings as many units as its call asked for, but whichever are ready: a call is not kept waiting for its slowest unit
while others have nothing to do. All units belong to the same step, so whoever asked finds out by their numbers.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from es_randomized.distributed.work import Work


class Order:
    """Units that were asked for together.

    Args:
        expected: units that will be asked for later, about.
    """

    def __init__(self, units: Sequence[int], expected: int) -> None:
        self.units, self.expected = units, expected


AnyOrder = TypeVar("AnyOrder", bound=Order)


class Orders(Generic[AnyOrder]):
    """Orders of one step, in the order in which they came.

    Args:
        work: of the step, which is all that was asked for.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._answered = work, 0
        self._waiting: deque[tuple[AnyOrder, int, list[int]]] = deque()

    def add(self, order: AnyOrder) -> None:
        """Its units are wanted from now on; those that were before, and are there, come with its answer."""
        before = self._work.units
        there = [unit for unit in order.units if unit in self._work.results]
        self._work.more(order.units, order.expected)
        self._waiting.append((order, self._work.units - before, there))

    def ready(self) -> Iterator[tuple[AnyOrder, list[int]]]:
        """Orders that can be answered now, and with which units."""
        while self._waiting:
            order, count, there = self._waiting[0]
            begin, end = self._answered, self._answered + count
            if len(self._work.results) < end:
                return
            self._waiting.popleft()
            self._answered = end
            yield order, [*there, *islice(self._work.results, begin, end)]

    def left(self) -> Iterator[AnyOrder]:
        """Orders that were not answered."""
        return (order for order, _, _ in self._waiting)
