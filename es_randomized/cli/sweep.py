"""`sweep`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

BEST = 10  # rows of the table at the end


@click.command("sweep")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/sweeps"), show_default=True)
@click.option("--jobs", type=click.IntRange(1), help="Cores of the local cluster for trials; all by default.")
@click.option("--address", help="Join this running Ray cluster (or `auto`) instead of starting a local one.")
@click.option("--dashboard-port", type=click.IntRange(1, 65535), help="Serve Ray's dashboard on this local port.")
def sweep_command(config: Path, out: Path, jobs: int | None, address: str | None, dashboard_port: int | None) -> None:
    """Run the trials of the sweep in CONFIG, a YAML file, side by side, and put what came of them into one table.

    Every trial is a run folder in OUT/<sweep> that resume, evaluate, report and compare take like any other. The same command
    goes on after Ctrl-C or a crash: what is finished stays, what was interrupted goes on, what failed is tried again.

    Writes OUT/<sweep>/trials.parquet. Exit status 1 if a trial failed, or if it was stopped before its end.
    """
    from es_randomized.distributed.session import connect
    from es_randomized.trials.progress import Progress
    from es_randomized.trials.search import choice_of
    from es_randomized.trials.sweep import load_sweep
    from es_randomized.trials.trial import SweepFolder, check, known

    console, sweep = Console(), load_sweep(config)
    folder = SweepFolder(out / sweep.name)
    check(sweep, folder)
    with folder.lock():
        records = known(sweep, folder)
        choice = choice_of(sweep, records)
        progress = Progress(choice.total(), records)
        if choice.next():
            console.print("starting Ray ..." if not address else f"joining the Ray cluster at {address} ...")
            with connect(jobs, address, dashboard_port):
                progress = _run(sweep, folder, console)
        _report(sweep, folder, progress, console)
    sys.exit(1 if progress.interrupted or progress.count("failed") else 0)


def _run(sweep: Any, folder: Any, console: Console) -> Any:
    from es_randomized import compilation
    from es_randomized.trials.runner import run_sweep

    compilation.configure(platform="cpu")  # accelerators are the trials'
    with _showing(console) as show:
        return run_sweep(sweep, folder, show)


def _report(sweep: Any, folder: Any, progress: Any, console: Console) -> None:
    """Write the table, print its best rows and what failed."""
    from es_randomized.trials.table import best_first, rows, write

    found = rows(sweep, folder)
    write(sweep, folder, found)
    console.print(_state(progress))
    if best := best_first(found)[:BEST]:
        headline = folder.run(best[0]["trial"]).experiment().task.headline
        console.print(_table(sweep, best, headline))
    for name, record in progress.records.items():
        if record.status == "failed":
            console.print(f"[bold red]failed[/] {name}: {escape(record.message)}", highlight=False, soft_wrap=True)
            console.print(f"       its log: {folder.run(name).log_file}", highlight=False, soft_wrap=True)
    console.print(f"table: {folder.table}", highlight=False, soft_wrap=True)
    if progress.interrupted:
        console.print("stopped; the same command goes on")
    elif progress.count("failed"):
        console.print("the same command tries again what failed")


def _table(sweep: Any, best: list[Any], headline: str) -> Table:
    """Rows of the table of trials; success in %, losses in the task's unit."""
    from es_randomized.evaluation.statistics import Estimate
    from es_randomized.report.table import cell, number, percent
    from es_randomized.trials.trial import short_names

    def shown(row: Any, name: str) -> str:
        """The evaluation with its interval, or else the last look at held-out draws."""
        estimate = Estimate(*(row.get(f"{name}{end}") for end in ("", "_low", "_high")))
        held_out = row.get(f"held_out_{name}")
        if estimate.value is not None:
            return cell(estimate, show)
        return f"about {show(held_out)}" if held_out is not None else ""

    show = percent if headline == "success" else number
    shorts = short_names(list(sweep.search.parameters))
    what = "success in %" if headline == "success" else "loss"
    table = Table(title=f"{what}, the best first by {sweep.metric}", title_justify="left")
    for name in (*shorts.values(), "seed", "", "generations", "training loss", "average", "95th percentile", "worst"):
        table.add_column(name, justify="right")
    for row in best:
        loss = f"{row['loss']:.4f}" if "loss" in row else ""  # a process that was killed may not have written it
        trial = [*(row[name] for name in shorts), row["seed"], row["status"], row["generations"], loss]
        table.add_row(*map(str, trial), *(shown(row, name) for name in ("average", "p95", "worst")))
    return table


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[Any], None]]:
    """A live bar on a terminal; elsewhere a line whenever a trial ends."""
    if not console.is_terminal:
        yield _printer(console)
        return
    with Bar(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("trials", total=None)
        yield lambda progress: bar.update(
            task, total=progress.total, completed=progress.ended, description=_state(progress)
        )


def _printer(console: Console) -> Callable[[Any], None]:
    began, shown = time.monotonic(), [-1]

    def show(progress: Any) -> None:
        if progress.ended != shown[0]:
            shown[0] = progress.ended
            console.print(f"{_state(progress)}  {time.monotonic() - began:.0f} s", highlight=False, soft_wrap=True)

    return show


def _state(progress: Any) -> str:
    counted = {status: progress.count(status) for status in ("stopped", "failed")}
    several = "".join(f", {count} {status}" for status, count in counted.items() if count)
    running = f"; running: {', '.join(progress.running)}" if progress.running else ""
    return f"{progress.count('finished')} of {progress.total} trials finished{several}{running}"
