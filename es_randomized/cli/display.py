"""Progress while training: a live bar on a terminal, a line every ten seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0

Row = dict[str, Any]


@contextmanager
def showing(console: Console, generations: int) -> Iterator[Callable[[Row], None]]:
    """A function that shows a metrics row."""
    if not console.is_terminal:
        yield _printer(console, generations)
        return
    columns = (
        TextColumn("generation"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("training", total=generations, numbers="")
        numbers = Numbers()
        yield lambda row: progress.update(bar, completed=row["generation"] + 1, numbers=numbers(row))


class Numbers:
    """The figures of the latest row, with the latest check of the centre."""

    def __init__(self) -> None:
        self.held_out = ""

    def __call__(self, row: Row) -> str:
        if "held_out_average" in row:
            shown = [f"{name} {row['held_out_' + name]:.3g}" for name in ("average", "p95", "worst")]
            self.held_out = f"  held out: {', '.join(shown)}"
        failed = f"  {row['non_finite']} not finite" if row["non_finite"] else ""
        return f"loss {row['loss_mean']:.3f}{self.held_out}{failed}"


def _printer(console: Console, generations: int) -> Callable[[Row], None]:
    numbers, last = Numbers(), [float("-inf")]

    def show(row: Row) -> None:
        text = numbers(row)
        final = row["generation"] + 1 == generations
        if final or time.monotonic() - last[0] > SECONDS_BETWEEN_LINES:
            line = f"generation {row['generation'] + 1}/{generations}  {row['seconds']:.0f} s  {text}"
            console.print(line, soft_wrap=True)
            last[0] = time.monotonic()

    return show
