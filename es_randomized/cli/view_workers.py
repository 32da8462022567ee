"""The table of workers in the live view: as many lines as there is room for, and the columns that fit."""

from rich.text import Text

from es_randomized.cli.view_text import quantity
from es_randomized.drivers.workers import WorkerStatus

LEAVING = ("pid", "late", "for", "done", "machine")  # columns that go first where it is narrow
GAP = 2


def workers_table(
    workers: list[WorkerStatus],
    before: dict[int, WorkerStatus],
    seconds: float,
    now: float,
    width: int,
    most: int,
) -> Text:
    """A line for every worker, and one with the names of the columns.

    Args:
        before: workers by number, `seconds` ago.
        now: on the clock of `WorkerStatus`.
        most: lines.
    """
    shown = workers if len(workers) < most else workers[: max(1, most - 2)]
    cells = [_cells(worker, before.get(worker.number), seconds, now) for worker in shown]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    for name in LEAVING:
        if sum(widths.values()) + GAP * (len(widths) - 1) > width:
            del widths[name]
    heads = _line({name: name for name in widths}, widths)
    text = Text.assemble((heads, "dim"), no_wrap=True, overflow="crop")
    for row, status in zip(cells, shown, strict=True):
        text.append("\n" + _line(row, widths), style="yellow" if status.late else None)
    if rest := len(workers) - len(shown):
        text.append(f"\nand {rest} more", style="dim")
    return text


def _line(cells: dict[str, str], widths: dict[str, int]) -> str:
    return (" " * GAP).join(cells[name].rjust(width) for name, width in widths.items())


def busy_share(worker: WorkerStatus, before: WorkerStatus | None, seconds: float) -> float | None:
    """The share of the last seconds that a worker computed; None where it brought nothing back in them."""
    if seconds <= 0 or worker.units == (before.units if before else 0):
        return None
    return min(1.0, (worker.busy - (before.busy if before else 0.0)) / seconds)


def _cells(worker: WorkerStatus, before: WorkerStatus | None, seconds: float, now: float) -> dict[str, str]:
    seconds = seconds if before else now - worker.joined
    busy = busy_share(worker, before, seconds)
    pace = (worker.units - (before.units if before else 0)) / seconds if seconds > 0 else 0.0
    return {
        "worker": str(worker.number),
        "machine": worker.node[:8],
        "pid": str(worker.pid),
        "under way": str(worker.under_way),
        "for": "–" if worker.since is None else f"{max(0.0, now - worker.since):.1f} s",
        "done": f"{worker.units:,}",
        "units/s": quantity(pace) if pace else "–",
        "busy": "–" if busy is None else f"{busy:.0%}",
        "late": f"{worker.late:,}",
    }
