"""What a terminal shows while a run trains: how far it is, its losses, its pace, and every worker. Drawn twice a second.

The view reads, in a thread of its own, and nobody waits for it; a row of metrics costs the loop a few assignments.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from es_randomized.cli.view_text import duration, flow, held_out, not_finite, quantity
from es_randomized.cli.view_workers import busy_share, workers_table
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.runs.metrics import MetricsRow

REFRESHES = 2  # a second
RECENT, OBSERVATIONS = 30.0, 6  # paces are about so many seconds, of which so many observations are kept
LONGEST_BAR = 60


class Observation(NamedTuple):
    """What was seen at one time: the newest row, when it came, and the workers that were there."""

    time: float
    row: MetricsRow
    came: float
    workers: dict[int, WorkerStatus]


class View:
    """A renderable for `rich.live.Live`.

    Args:
        generations: of the experiment.
        seconds: after which training stops, if it is not done.
        workers: who works now and who has gone.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        generations: int,
        seconds: float | None,
        workers: Callable[[], list[WorkerStatus]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generations, self._seconds, self._workers, self._clock = generations, seconds, workers, clock
        self._began = clock()
        self._newest: tuple[MetricsRow, float] | None = None
        self._checked: MetricsRow | None = None
        self._lowest = {"loss_mean": float("inf"), "loss_best": float("inf")}
        self._observations: deque[Observation] = deque(maxlen=OBSERVATIONS)
        self._first: Observation | None = None

    def update(self, row: MetricsRow) -> None:
        """Take the row of another generation."""
        self._newest = row, self._clock()
        if "held_out_average" in row:
            self._checked = row
        for name, lowest in self._lowest.items():
            self._lowest[name] = min(lowest, row[name])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        now, everybody, width = self._clock(), self._workers(), options.max_width
        there = {worker.number: worker for worker in everybody if worker.gone is None}
        newest = Observation(now, *self._newest, there) if self._newest else None
        if newest:
            self._remember(newest)
        yield self._bar(newest, now, width)
        text = Text("\n").join(self._lines(newest, everybody, now, width))
        yield text
        if there:
            before = self._observations[0] if self._observations else Observation(now, {}, now, {})
            most = (options.height or console.height) - 2 - text.plain.count("\n")
            yield workers_table(list(there.values()), before.workers, now - before.time, now, width, most)

    def _lines(
        self, newest: Observation | None, everybody: list[WorkerStatus], now: float, width: int
    ) -> Iterator[Text]:
        yield flow("time", [f"{duration(now - self._began)} so far", self._left(newest, now)], width)
        if not newest:
            return
        yield flow("loss", self._losses(newest.row), width)
        if self._checked:
            when = Text(f"held out, after generation {self._checked['generation'] + 1:,}", style="dim")
            yield flow("centre", [*held_out(self._checked), when], width)
        yield flow("pace", self._pace(newest, sum(worker.lost for worker in everybody)), width)

    def _remember(self, newest: Observation) -> None:
        self._first = self._first or newest
        if not self._observations or newest.time - self._observations[-1].time >= RECENT / OBSERVATIONS:
            self._observations.append(newest)

    def _bar(self, newest: Observation | None, now: float, width: int) -> Table:
        done = newest.row["generation"] + 1 if newest else 0
        share = done / self._generations
        if self._seconds:
            share = max(share, min(1.0, (now - self._began) / self._seconds))
        title = f"generation {done:,}/{self._generations:,}"
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=1.0, completed=share, width=max(8, min(LONGEST_BAR, width - cell_len(title) - 7)))
        line.add_row(title, bar, f"{share:.0%}")
        return line

    def _left(self, newest: Observation | None, now: float) -> str:
        """How long it will take, and what will end it."""
        by_time = max(0.0, self._seconds - (now - self._began)) if self._seconds else None
        rate = self._rate(newest, "generation") if newest else None
        if not newest or not rate:
            return f"at most {duration(by_time)} left" if by_time is not None else "nobody knows yet how long it takes"
        by_generations = (self._generations - newest.row["generation"] - 1) / rate
        if by_time is None or by_generations <= by_time:
            return f"about {duration(by_generations)} left"
        return f"{duration(by_time)} left of {self._seconds:,.0f} s"

    def _rate(self, newest: Observation, name: str) -> float | None:
        """What a row counts, per second: of late, or where generations take longer than that, since the first one."""
        for before in (self._observations[0], self._first):
            if before and newest.came > before.came:
                return (newest.row[name] - before.row[name]) / (newest.came - before.came)
        return None

    def _losses(self, row: MetricsRow) -> Iterable[Text | str]:
        for name, label in (("loss_mean", "mean"), ("loss_best", "best member")):
            yield f"{label} {row[name]:.4g} (lowest {self._lowest[name]:.4g})"
        if row["non_finite"]:
            yield Text(not_finite(row), style="bold red")
        yield Text("lower is better", style="dim")

    def _pace(self, newest: Observation, lost: int) -> Iterable[Text | str]:
        for name, unit in (("generation", "generations"), ("rollouts", "rollouts")):
            if rate := self._rate(newest, name):
                yield f"{quantity(rate)} {unit}/s"
        if newest.workers:
            yield f"{len(newest.workers)} workers on {', '.join(sorted({worker.device for worker in newest.workers.values()}))}"
            before = self._observations[0]
            shares = [
                busy_share(worker, before.workers.get(worker.number), newest.time - before.time)
                for worker in newest.workers.values()
                if worker.number in before.workers
            ]
            known = [share for share in shares if share is not None]
            if known:
                yield f"busy {sum(known) / len(known):.0%}"
        if lost:
            yield Text(f"{lost} lost", style="bold red")
