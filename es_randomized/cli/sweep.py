"""`sweep`."""

import sys
from pathlib import Path
from typing import Unpack

import click
from rich.console import Console
from rich.table import Table

from es_randomized.cli.console import console_of
from es_randomized.cli.trials import print_end, run_study, state, with_cluster_options
from es_randomized.evaluation.statistics import LEVELS
from es_randomized.tasks.measure import Measure
from es_randomized.trials.run import ClusterOptions
from es_randomized.trials.sweep import Sweep, load_sweep
from es_randomized.trials.sweep_trials import check, study_of
from es_randomized.trials.table import TrialRow, best_first, rows_of, write
from es_randomized.trials.trial import TrialsFolder, short_names

BEST = 10  # rows of the table at the end


@click.command("sweep")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/sweeps"), show_default=True)
@with_cluster_options
def sweep_command(config: Path, out: Path, **cluster: Unpack[ClusterOptions]) -> None:
    """Run the trials of the sweep in CONFIG, a YAML file, side by side, and put what came of them into one table.

    Every trial is a run folder in OUT/<sweep> that resume, evaluate, report and compare take like any other. The same command
    goes on after Ctrl-C or a crash: what is finished stays, what was interrupted goes on, what failed is tried again.

    Writes OUT/<sweep>/trials.parquet. Exit status 1 if a trial failed, 130 or 143 if Ctrl-C or SIGTERM stopped it before its end.
    """
    console, sweep = console_of(), load_sweep(config)
    folder = TrialsFolder(out / sweep.name)
    check(sweep, folder)
    with folder.lock():
        queue = run_study(study_of(sweep, folder), sweep.resources, cluster, console)
        console.print(state(queue.progress))
        _print_table(sweep, folder, console)
    complete = print_end(queue, folder, console)
    console.print(f"table: {folder.table}", highlight=False, soft_wrap=True)
    sys.exit(0 if complete else 1)


def _print_table(sweep: Sweep, folder: TrialsFolder, console: Console) -> None:
    """Write the table and print its best rows."""
    rows = rows_of(sweep, folder)
    write(sweep, folder, rows)
    if best := best_first(rows)[:BEST]:
        console.print(_table(sweep, best, folder.run(best[0]["trial"]).experiment().task.measure))


def _table(sweep: Sweep, best: list[TrialRow], measure: Measure) -> Table:
    """Rows of the table of trials."""

    def shown(row: TrialRow, name: str) -> str:
        """The evaluation with its interval, or else the last held-out check."""
        held_out = row.get(f"held_out_{name}")
        if row.get(name) is not None:
            return str(measure.interval((row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))))
        return f"about {measure.text(held_out)}" if held_out is not None else ""

    shorts = short_names(list(sweep.search.parameters))
    table = Table(title=f"{measure.label}, the best first by {sweep.metric}", title_justify="left")
    for name in (*shorts.values(), "seed", "", "generations", "training loss", *LEVELS.values()):
        table.add_column(name, justify="right")
    for row in best:
        loss = f"{row['loss']:.4f}" if "loss" in row else ""  # a process that was killed may not have written it
        trial = [*(row[name] for name in shorts), row["seed"], row["status"], row["generations"], loss]
        table.add_row(*map(str, trial), *(shown(row, name) for name in LEVELS))
    return table
