"""The work of one generation step: which units wait, which are under way and since when, and which must be issued again.

Plain bookkeeping with the time as an argument, so that a test or a simulator can drive it as the evaluator does. A unit may
be under way several times; its first result counts, and all results are the same bits.
"""

import statistics
from collections import Counter, deque
from collections.abc import Iterable

SLOW = 4.0  # times the median of its peers: issue again
PATIENT = 0.5  # seconds below which nothing counts as slow: pauses of that length are everyday life
COPIES = 2


class Work:
    """Units 0, 1, ..., each wanted once.

    Attributes:
        results: bytes by unit, as far as they have come.
        again: how often a unit was issued though it was under way.
        deaths: workers that died while a unit was first in their hands.
    """

    def __init__(self, units: int) -> None:
        self.units = units
        self.results: dict[int, bytes] = {}
        self.again = 0
        self.deaths: Counter[int] = Counter()
        self._waiting = deque(range(units))
        self._begun: dict[int, list[float]] = {}
        self._took: list[float] = []

    @property
    def complete(self) -> bool:
        """Whether every unit has its result."""
        return len(self.results) == self.units

    @property
    def waiting(self) -> int:
        """Units nobody has."""
        return len(self._waiting)

    def take(self, count: int, now: float, idle: bool) -> list[int]:
        """Up to `count` units to begin now.

        Args:
            idle: the worker has nothing else to do; only then does it get units that are slow elsewhere.
        """
        taken: list[int] = []
        while len(taken) < count and self._waiting:
            unit = self._waiting.popleft()
            if unit not in self.results:
                taken.append(unit)
        if not taken and idle:
            taken = self._slow(now)[:count]
            self.again += len(taken)
        for unit in taken:
            self._begun.setdefault(unit, []).append(now)
        return taken

    def done(self, unit: int, result: bytes, now: float) -> None:
        """A result has come; another copy's result is not needed any more."""
        if unit not in self.results:
            self._took.append(now - self._begun.pop(unit, [now])[0])
            self.results[unit] = result

    def lost(self, units: Iterable[int]) -> None:
        """Whoever had these units, in the order they were handed out, is gone: they wait again, before all others."""
        for place, unit in enumerate(units):
            if unit in self.results:
                continue
            if place == 0:
                self.deaths[unit] += 1
            under_way = self._begun.get(unit, [])
            if under_way:
                under_way.pop()
            if not under_way:
                self._begun.pop(unit, None)
                if unit not in self._waiting:
                    self._waiting.appendleft(unit)

    def usual(self) -> float:
        """Median seconds from handing a unit out to its result; 0 before the first."""
        return statistics.median(self._took) if self._took else 0.0

    def _slow(self, now: float) -> list[int]:
        """Units under way far longer than those that have come, the oldest first."""
        if not self._took:
            return []
        limit = max(PATIENT, SLOW * self.usual())
        late = [unit for unit, begun in self._begun.items() if now - begun[-1] > limit and len(begun) < COPIES]
        return sorted(late, key=lambda unit: self._begun[unit][0])
