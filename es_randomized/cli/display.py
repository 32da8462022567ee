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
SECONDS_BETWEEN_CHECKS = 1.0  # of the workers
LARGE = 1e6  # losses from here on are not written out

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
            yield _both(changes.print_now_and_then, view.update)
    else:
        yield _both(changes.print_now_and_then, Lines(console, budget.generations))
    changes.print_changes()


def _both(changes: Callable[[], None], show: Callable[[MetricsRow], None]) -> Callable[[MetricsRow], None]:
    def both(row: MetricsRow) -> None:
        changes()
        show(row)

    return both


class Lines:
    """A line now and then, for logs."""

    def __init__(self, console: Console, generations: int) -> None:
        self._console, self._generations = console, generations
        self._held_out, self._last = "", float("-inf")

    def __call__(self, row: MetricsRow) -> None:
        """Print a row, unless there was one a moment ago."""
        if checked := held_out(row):
            self._held_out = f"  held out: {', '.join(checked)}"
        final = row["generation"] + 1 == self._generations
        if final or time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            failed = f"  {not_finite(row)}" if row["non_finite"] else ""
            where = f"generation {row['generation'] + 1}/{self._generations}  {row['seconds']:.0f} s"
            loss = f"{row['loss_mean']:{'.3f' if abs(row['loss_mean']) < LARGE else '.3g'}}"
            self._console.print(f"{where}  loss {loss}{self._held_out}{failed}", soft_wrap=True)
            self._last = time.monotonic()


class Changes:
    """Prints a line for every worker that comes or goes after it was made."""

    def __init__(self, console: Console, workers: Workers) -> None:
        self._console, self._workers = console, workers
        self._there = {worker.number for worker in workers() if worker.gone is None}
        self._gone = {worker.number for worker in workers() if worker.gone is not None}
        self._last = time.monotonic()

    def print_now_and_then(self) -> None:
        """Print what changed, unless that was done a moment ago."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_CHECKS:
            self.print_changes()

    def print_changes(self) -> None:
        """Print what changed since the last time."""
        self._last = time.monotonic()
        for worker in self._workers():
            if worker.number not in self._there | self._gone:
                self._there.add(worker.number)
                self._say(f"worker {worker.number} joined: {worker.place}")
            if worker.gone is not None and worker.number not in self._gone:
                self._gone.add(worker.number)
                fate = f"was lost with {worker.under_way} units under way" if worker.lost else "left"
                self._say(f"worker {worker.number} {fate}; it had done {worker.units:,}: {worker.place}")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)
