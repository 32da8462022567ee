"""What `sweep` and `reproduce` share: run trials on Ray or here, show how far they are, say what failed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from es_randomized.cli.progress import connecting
from es_randomized.trials.progress import Progress
from es_randomized.trials.queue import Queue, Study
from es_randomized.trials.run import ClusterOptions, run_trials
from es_randomized.trials.sweep import Resources
from es_randomized.trials.trial import TrialsFolder

Command = TypeVar("Command", bound=Callable[..., None])


CLUSTER_OPTIONS = [
    click.option("--jobs", type=click.IntRange(1), help="Cores of the local cluster for trials; all by default."),
    click.option("--address", help="Join this running Ray cluster (or `auto`) instead of starting a local one."),
    click.option("--local", is_flag=True, help="Do without Ray: one trial after the other, in this process."),
    click.option("--dashboard-port", type=click.IntRange(1, 65535), help="Serve Ray's dashboard on this local port."),
]


def with_cluster_options(command: Command) -> Command:
    """Add the options of `ClusterOptions`."""
    for option in reversed(CLUSTER_OPTIONS):
        command = option(command)
    return command


def run_study(study: Study, resources: Resources, cluster: ClusterOptions, console: Console) -> Queue:
    """Run what is left of a study and show how far it is."""
    with _showing(console) as show:
        return run_trials(study, resources, cluster, show, lambda address: console.print(connecting(address)))


def print_end(queue: Queue, folder: TrialsFolder, console: Console) -> bool:
    """Say what failed and what the same command would do; returns whether all is well."""
    failed = {name: record for name, record in queue.progress.records.items() if record.status == "failed"}
    for name, record in failed.items():
        line = Text.assemble(("failed", "bold red"), f" {name}: {record.message}")
        console.print(line, highlight=False, soft_wrap=True)
        console.print(f"       its log: {folder.run(name).log_file}", highlight=False, soft_wrap=True)
    if queue.interrupted:
        console.print("stopped; the same command goes on")
    elif failed:
        console.print("the same command tries again what failed")
    return not (failed or queue.interrupted)


def state(progress: Progress) -> str:
    """How many trials came to what end, and which ones run."""
    counted = {status: progress.count(status) for status in ("stopped", "failed")}
    others = "".join(f", {count} {status}" for status, count in counted.items() if count)
    running = f"; running: {', '.join(progress.running)}" if progress.running else ""
    return f"{progress.count('finished')} of {progress.total} trials finished{others}{running}"


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A live bar on a terminal; elsewhere a line whenever a trial ends."""
    if not console.is_terminal:
        yield _printer(console)
        return
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()]
    columns += [TextColumn("left"), TimeRemainingColumn()]
    with Bar(*columns, console=console, speed_estimate_period=3600) as bar:
        task = bar.add_task("trials", total=None, visible=False)  # until there is something to show
        yield lambda progress: bar.update(
            task, total=progress.total, completed=progress.completed, description=state(progress), visible=True
        )


def _printer(console: Console) -> Callable[[Progress], None]:
    began, shown = time.monotonic(), -1

    def show(progress: Progress) -> None:
        nonlocal shown
        if progress.ended != shown:
            shown = progress.ended
            console.print(f"{state(progress)}  {time.monotonic() - began:.0f} s", highlight=False, soft_wrap=True)

    return show
