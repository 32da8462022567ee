"""Progress while training: a live view on a terminal, a line every ten seconds elsewhere; who joined and who was lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from es_randomized.cli.view import REFRESHES, View
from es_randomized.cli.view_text import held_out, not_finite
from es_randomized.config.sections import Budget
from es_randomized.drivers.workers import WorkerStatus
from es_randomized.runs.metrics import MetricsRow

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_LOOKS = 1.0  # at the workers

Workers = Callable[[], list[WorkerStatus]]


@contextmanager
def showing(
    console: Console, budget: Budget, seconds: float | None, workers: Workers
) -> Iterator[Callable[[MetricsRow], None]]:
    """A function that shows a metrics row.

    Args:
        seconds: after which training stops, if it is not done.
        workers: who works now and who has gone.
    """
    changes = Changes(console, workers)
    if console.is_terminal:
        view = View(budget.generations, seconds, workers)
        with Live(view, console=console, refresh_per_second=REFRESHES):
            yield _both(changes.now_and_then, view.update)
    else:
        yield _both(changes.now_and_then, Lines(console, budget.generations))
    changes.look()


def _both(changes: Callable[[], None], show: Callable[[MetricsRow], None]) -> Callable[[MetricsRow], None]:
    def each(row: MetricsRow) -> None:
        changes()
        show(row)

    return each


class Lines:
    """A line now and then, for logs."""

    def __init__(self, console: Console, generations: int) -> None:
        self._console, self._generations = console, generations
        self._held_out, self._last = "", float("-inf")

    def __call__(self, row: MetricsRow) -> None:
        """Print a row, unless there was one a moment ago."""
        if found := held_out(row):
            self._held_out = f"  held out: {', '.join(found)}"
        final = row["generation"] + 1 == self._generations
        if final or time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            failed = f"  {not_finite(row)}" if row["non_finite"] else ""
            where = f"generation {row['generation'] + 1}/{self._generations}  {row['seconds']:.0f} s"
            self._console.print(f"{where}  loss {row['loss_mean']:.3f}{self._held_out}{failed}", soft_wrap=True)
            self._last = time.monotonic()


class Changes:
    """Prints a line for every worker that comes or goes after the first look."""

    def __init__(self, console: Console, workers: Workers) -> None:
        self._console, self._workers = console, workers
        self._there = {each.number for each in workers() if each.gone is None}
        self._gone = {each.number for each in workers() if each.gone is not None}
        self._last = time.monotonic()

    def now_and_then(self) -> None:
        """Look, unless there was a look a moment ago."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LOOKS:
            self.look()

    def look(self) -> None:
        """Print what changed since the last look."""
        self._last = time.monotonic()
        for each in self._workers():
            if each.number not in self._there | self._gone:
                self._there.add(each.number)
                self._say(f"worker {each.number} joined: {each.place}")
            if each.gone is not None and each.number not in self._gone:
                self._gone.add(each.number)
                fate = f"was lost with {each.under_way} units under way" if each.lost else "left"
                self._say(f"worker {each.number} {fate}; it had done {each.units:,}: {each.place}")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)
