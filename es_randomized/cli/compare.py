"""`compare`."""

from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from es_randomized import compilation
from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.errors import ConfigError
from es_randomized.evaluation.compare import Comparison, compare_groups, compare_runs
from es_randomized.evaluation.groups import grouped
from es_randomized.evaluation.of_runs import newest
from es_randomized.report.comparison import comparison_table, same_algorithm, sentence
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.location import reading


@click.command("compare")
@click.argument("runs", metavar="A B | RUN...", nargs=-1, required=True, type=LOCATION)
def compare_command(runs: tuple[Path | str, ...]) -> None:
    """Are the runs A and B different? Differences on average, at the worst 5 % of the instances and at the worst one.

    Two runs (or checkpoints) are run again on the same instances with the same fresh seeds, and whether they are the same
    algorithm is told by their answers and by the loss on the straight line between their weights. More than two must fall into
    two groups that differ in more than their seed; these are compared over their training seeds, by their evaluations:

      es-randomized compare runs/robust-* runs/expected-*
    """
    if len(runs) < 2:
        raise click.UsageError("two runs are needed, or two groups of them; a run alone is what `evaluate` is for")
    compilation.configure()
    console = console_of()
    with ExitStack() as stack:
        folders = [stack.enter_context(reading(run)) for run in runs]
        names, comparison = _pair(folders, console) if len(folders) == 2 else _groups(folders)
    console.print(comparison_table(comparison, *names))
    for text in (sentence(comparison, *names), *same_algorithm(comparison)):
        console.print(text, soft_wrap=True)


def _pair(folders: list[RunFolder], console: Console) -> tuple[list[str], Comparison]:
    trained = [newest(folder) for folder in folders]
    console.print("running both on the same instances and seeds ...")
    return [folder.name for folder in folders], compare_runs(*trained)


def _groups(folders: list[RunFolder]) -> tuple[list[str], Comparison]:
    groups = grouped(folders)
    if len(groups) != 2:
        listed = ", ".join(f"{group.name} ({len(group.runs)})" for group in groups)
        raise ConfigError(
            f"two groups are compared, runs of a group differing in their seed alone, but these are {len(groups)}: {listed}"
        )
    return [f"{group.name} ({len(group.runs)} training seeds)" for group in groups], compare_groups(*groups)
