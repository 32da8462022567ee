"""The work of one generation step: which units wait, which are under way and since when, and which must be issued again.

Plain bookkeeping with the time as an argument, so that tests and the simulator drive it as the evaluator does. A unit may
be under way several times; its first result counts, and all results are the same bits.
"""

from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from math import ceil
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

CALLS_PER_WORKER = 2  # at most: one it computes and one it can begin without waiting for a message
CALLS_PER_SUPERVISOR = 4  # at most: its workers have two of them, and others are to come before they end
QUICK = 0.01  # seconds of work worth a message; units that take less go several to a call
LONG = 0.1  # seconds of work in one call of several units, at most: that much is lost with a worker
LONG_OF_MANY = 1.0  # the same of a supervisor, whose workers should have some at hand while others are on their way
SHARES = 4  # longer calls than `QUICK` take 1/4 of a worker's share of what is left: they get shorter to the end
SERVED = 0.001  # seconds that a call takes whoever hands it out
SLOW = 4.0  # a unit is late after so many times the median of the others
PATIENT = 0.5  # seconds after which a unit can be late at all: shorter pauses are common
COPIES = 3  # of a unit under way at most. Two are too few: with many workers, the second worker may be silent as well
TICK = 0.1  # seconds until the coordinator looks for late units again

Result: TypeAlias = bytes | memoryview


class Call(NamedTuple):
    """Units that a worker was asked for: which step of the run they belong to, and since when they are under way."""

    step: int
    units: list[int]
    since: float


class CallTaker:
    """A worker, or a machine of several, as far as handing out is concerned.

    Attributes:
        calls: under way.
        leaving: it gets no more.
        workers: that compute what it is asked for: 1, or all of a machine.
    """

    calls: dict[Any, Call]
    leaving: bool
    workers: int


AnyCallTaker = TypeVar("AnyCallTaker", bound=CallTaker)


class Work:
    """Units 0, 1, ..., each wanted once.

    Args:
        step: of the run, to tell its calls from those of other steps.
        typical: median seconds of a unit in an earlier step like this one; it counts until the first result comes.

    Attributes:
        expected: units that will be wanted later, about, where that is not known yet.
        results: float32 bytes by unit, as far as they have come, in the order in which they came.
        reissued: how often a unit was issued though it was under way.
        deaths: by unit, how many workers died while it was the first one they had.
    """

    def __init__(self, units: int, step: int = 0, typical: float = 0.0) -> None:
        self.units, self.step, self.expected, self._expected = units, step, 0, typical
        self.results: dict[int, Result] = {}
        self.reissued = 0
        self.deaths: Counter[int] = Counter()
        self._waiting = deque(range(units))
        self._wanted = set(range(units))
        self._begun: dict[int, list[float]] = {}
        self._took: list[float] = []  # sorted, because the median is needed at every turn

    @property
    def complete(self) -> bool:
        """Whether every unit has its result."""
        return len(self.results) == self.units

    def more(self, units: Iterable[int], expected: int = 0) -> None:
        """These units are wanted as well, whatever their numbers, unless they were before; and more are `expected`."""
        self.expected = expected
        for unit in units:
            if unit not in self._wanted:
                self._wanted.add(unit)
                self._waiting.append(unit)
        self.units = len(self._wanted)

    @property
    def waiting(self) -> int:
        """Units that nobody was asked for."""
        return len(self._waiting)

    @property
    def left(self) -> int:
        """The same, and those that will be wanted later."""
        return len(self._waiting) + self.expected

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
            self.reissued += len(taken)
        for unit in taken:
            self._begun.setdefault(unit, []).append(now)
        return taken

    def done(self, unit: int, result: Result, now: float) -> None:
        """A result has come; another copy's result is not needed any more."""
        if unit not in self.results:
            insort(self._took, now - self._begun.pop(unit, [now])[0])
            self.results[unit] = result

    def lost(self, units: Iterable[int]) -> None:
        """Whoever had these units, in the order they were issued, is gone: they wait again, before all others."""
        for index, unit in enumerate(units):
            if unit in self.results:
                continue
            if index == 0:
                self.deaths[unit] += 1
            under_way = self._begun.get(unit, [])
            if under_way:
                under_way.pop()
            if not under_way:
                self._begun.pop(unit, None)
                if unit not in self._waiting:
                    self._waiting.appendleft(unit)

    def typical(self) -> float:
        """Median seconds from issuing a unit to its result; before the first, what is expected; 0 if nothing is."""
        return self._took[len(self._took) // 2] if self._took else self._expected

    def _slow(self, now: float) -> list[int]:
        """Units under way far longer than those that have come, the oldest first."""
        if not self.typical():
            return []
        limit = max(PATIENT, SLOW * self.typical())
        oldest = takewhile(lambda item: now - item[1][0] > limit, self._begun.items())  # they began in this order
        return [unit for unit, begun in oldest if now - begun[-1] > limit and len(begun) < COPIES]


class Crew(NamedTuple):
    """Who shares the work of a process that hands out.

    Attributes:
        takers: that it serves itself: workers, or machines.
        workers: that compute, in all.
    """

    takers: int
    workers: int


def units_per_call(work: Work, crew: Crew, pace: float | None, devices: int = 1, workers: int = 1) -> int:
    """Units of the next call: one per device; more while they are quick, while much is left, or with many to serve.

    A call should not take less than it takes to serve everybody once: they would wait for it.

    Args:
        pace: seconds of computing per unit as last seen, if any were.
        devices: of each worker.
        workers: that share the call: 1, or those of a machine.
    """
    shares = max(1.0, crew.workers / workers)  # so many like this one
    everybody = SERVED * crew.takers if SERVED * crew.takers > QUICK else 0.0
    longest = LONG if workers == 1 else LONG_OF_MANY
    quick, long, served = (
        (int(seconds * workers / pace) for seconds in (QUICK, longest, everybody)) if pace else (0, 0, 0)
    )
    share = ceil((work.units + work.expected) / shares)
    if quick < share:  # a slow worker must leave some to the others
        share = max(
            min(quick, ceil(work.left / (CALLS_PER_WORKER * shares))),
            min(long, ceil(work.left / (SHARES * shares))),
            min(served, share),
        )
    together = devices * workers
    return max(together, share // together * together if workers > 1 else share)  # whole rounds of all of them


class Takers(Generic[AnyCallTaker]):
    """Workers, or machines, that get calls, by how many they have, so that nobody looks at those who can take none."""

    def __init__(self, workers: Iterable[AnyCallTaker] = ()) -> None:
        self._everybody: dict[AnyCallTaker, None] = {}
        self._room: list[dict[AnyCallTaker, None]] = [{} for _ in range(CALLS_PER_SUPERVISOR)]
        self._workers = 0
        for worker in workers:
            self.add(worker)

    def __iter__(self) -> Iterator[AnyCallTaker]:
        return iter(self._everybody)

    def __len__(self) -> int:
        return len(self._everybody)

    @property
    def crew(self) -> Crew:
        """How many there are."""
        return Crew(len(self._everybody), self._workers)

    def expected(self, worker: AnyCallTaker, work: Work, call: Call) -> int:
        """Units of the work that it can expect later, about, once it has this call."""
        if worker not in self._everybody:
            return 0
        share = ceil((work.left + len(call.units)) * worker.workers / self._workers)
        return max(0, share - len(call.units))

    def add(self, worker: AnyCallTaker) -> None:
        """It gets calls from now on."""
        self._everybody[worker] = None
        self._workers += worker.workers
        self._place(worker)

    def remove(self, worker: AnyCallTaker) -> None:
        """It gets no more calls, if it got any."""
        if worker in self._everybody:
            del self._everybody[worker]
            self._workers -= worker.workers
        self._no_room(worker)

    def resize(self, worker: AnyCallTaker, workers: int) -> None:
        """So many workers compute now what it is asked for."""
        if worker in self._everybody:
            self._workers += workers - worker.workers
        worker.workers = workers

    def pop_call(self, worker: AnyCallTaker, key: object, units: Sequence[int] = ()) -> Call:
        """Take a call that is over from a worker, which has room for another.

        Args:
            units: that came with it, if any: a supervisor may have had them for another call, which has the missing ones now.
        """
        call = worker.calls.pop(key)
        _exchange(call, units, worker.calls.values())
        if worker in self._everybody:
            self._no_room(worker)
            self._place(worker)
        return call

    def issue(
        self, work: Work, size: Callable[[AnyCallTaker], int], clock: Callable[[], float]
    ) -> Iterator[tuple[AnyCallTaker, Call]]:
        """Which worker gets which units now: first the idle workers, then those with one call, and so on.

        What is late goes to whoever answered last: those who have been idle for long may be silent themselves.

        Args:
            size: units of a worker's next call.
            clock: the time now; whoever iterates adds the call to the worker's.
        """
        for depth, room in enumerate(self._room):
            while room:
                worker = next(iter(room) if work.waiting else reversed(room))
                if worker.leaving:
                    del room[worker]
                    continue
                now = clock()
                units = work.take(size(worker), now, idle=depth == 0)
                if not units:
                    break  # nobody else would get any either
                del room[worker]
                yield worker, Call(work.step, units, now)
                self._place(worker)

    def _place(self, worker: AnyCallTaker) -> None:
        if len(worker.calls) < (CALLS_PER_WORKER if worker.workers == 1 else CALLS_PER_SUPERVISOR):
            self._room[len(worker.calls)][worker] = None

    def _no_room(self, worker: AnyCallTaker) -> None:
        for room in self._room:
            room.pop(worker, None)


def _exchange(call: Call, units: Sequence[int], others: Iterable[Call]) -> None:
    """Make `units` those of a call; the others of the same step get, instead of what was theirs, what the call misses."""
    brought = set(units)
    early = brought.difference(call.units)
    if not early:
        return
    missing = iter([unit for unit in call.units if unit not in brought])
    for other in others:
        if other.step == call.step:
            other.units[:] = [next(missing, unit) if unit in early else unit for unit in other.units]
    call.units[:] = units
