"""The work of one generation step: which units wait, which are under way and since when, and which must be issued again.

Plain bookkeeping with the time as an argument, so that tests and the simulator drive it as the evaluator does. A unit may
be under way several times; its first result counts, and all results are the same bits.
"""

from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

IN_HAND = 2  # calls a worker has at most: one under way and one that follows without waiting for a message
QUICK = 0.01  # seconds of work worth a message; units that take less go several to a call
LONG = 0.1  # seconds of work in one call at most, if it has several units: that much is lost with a worker
SHARES = 4  # a call that is not quick takes at most this part of what is left for everybody: they get shorter towards the end
SERVED = 0.001  # seconds the coordinator has to do with a call
SLOW = 4.0  # times the median of its peers: issue again
PATIENT = 0.5  # seconds below which nothing counts as slow: pauses of that length are everyday life
COPIES = 3  # with many workers, a late unit's second copy goes to a silent one in turn every so often
TICK = 0.1  # seconds between looks at who is late

Result: TypeAlias = bytes | memoryview


class Call(NamedTuple):
    """Units a worker has in hand: which step of the run they belong to, and since when."""

    step: int
    units: list[int]
    since: float


@runtime_checkable
class Hand(Protocol):
    """A worker, as far as handing out is concerned: what it has in hand, and whether it gets anything more."""

    calls: dict[Any, Call]
    leaving: bool


AnyHand = TypeVar("AnyHand", bound=Hand)


class Work:
    """Units 0, 1, ..., each wanted once.

    Args:
        step: of the run, to tell its calls from those of other steps.
        usual: median seconds of a unit in an earlier step like this one, which count until the first result comes.

    Attributes:
        results: float32 bytes by unit, as far as they have come.
        again: how often a unit was issued though it was under way.
        deaths: workers that died while a unit was first in their hands.
    """

    def __init__(self, units: int, step: int = 0, usual: float = 0.0) -> None:
        self.units, self.step, self._expected = units, step, usual
        self.results: dict[int, Result] = {}
        self.again = 0
        self.deaths: Counter[int] = Counter()
        self._waiting = deque(range(units))
        self._begun: dict[int, list[float]] = {}
        self._took: list[float] = []  # sorted: its median is asked for at every turn, and there may be 100,000 of them

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

    def done(self, unit: int, result: Result, now: float) -> None:
        """A result has come; another copy's result is not needed any more."""
        if unit not in self.results:
            insort(self._took, now - self._begun.pop(unit, [now])[0])
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
        """Median seconds from handing a unit out to its result; before the first what is expected, 0 if nothing is."""
        return self._took[len(self._took) // 2] if self._took else self._expected

    def _slow(self, now: float) -> list[int]:
        """Units under way far longer than those that have come, the oldest first."""
        if not self.usual():
            return []
        limit = max(PATIENT, SLOW * self.usual())
        late = [unit for unit, begun in self._begun.items() if now - begun[-1] > limit and len(begun) < COPIES]
        return sorted(late, key=lambda unit: self._begun[unit][0])


def portion(work: Work, workers: int, pace: float | None, devices: int = 1) -> int:
    """Units of the next call: one per device, or more while they are quick, while much is left, or with many workers.

    Calls that take less than the coordinator needs to serve every worker once would leave workers waiting for it.

    Args:
        workers: how many share the work.
        pace: seconds of computing per unit as last seen, if any were.
        devices: of each worker.
    """
    workers = max(1, workers)
    everybody = SERVED * workers if SERVED * workers > QUICK else 0.0
    quick, long, served = (int(seconds / pace) for seconds in (QUICK, LONG, everybody)) if pace else (0, 0, 0)
    share = -(-work.units // workers)
    if quick < share:  # whoever is late must leave some to the others
        share = max(
            min(quick, -(-work.waiting // (IN_HAND * workers))),
            min(long, -(-work.waiting // (SHARES * workers))),
            min(served, share),
        )
    return max(devices, share)


def hand_out(
    work: Work, hands: Sequence[AnyHand], share: Callable[[], int], clock: Callable[[], float]
) -> Iterator[tuple[AnyHand, Call]]:
    """Who begins which units: first those who have nothing in hand, then those who have one call, and so on.

    Args:
        share: units of the next call.
        clock: the time now; whoever iterates lets it go on and puts the call into the hand.
    """
    for depth in range(IN_HAND):
        for hand in hands:
            if len(hand.calls) == depth and not hand.leaving:
                now = clock()
                units = work.take(share(), now, idle=depth == 0)
                if not units:
                    break  # and nobody else would get any: with 10,000 idle workers, asking for each takes seconds
                yield hand, Call(work.step, units, now)
