"""`doctor`."""

import json
from pathlib import Path

import click
from rich.console import Console

from es_randomized import compilation
from es_randomized.cli.location import LOCATION
from es_randomized.doctor.findings import findings
from es_randomized.doctor.measure import measure
from es_randomized.doctor.words import lines, tree
from es_randomized.runs.location import reading
from es_randomized.runs.storage import write_atomically


@click.command("doctor")
@click.argument("run", metavar="RUN", type=LOCATION)
@click.option(
    "--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write every measurement here as well."
)
def doctor_command(run: Path | str, file: Path | None) -> None:
    """What holds RUN back, and which setting to try: a run folder, an address or a checkpoint.

    It replays the journal and evaluates some weights on batches that training never drew. Nothing is written into the run,
    and it may train meanwhile.
    """
    compilation.configure()
    with reading(run) as folder:
        measured = measure(folder)
    found, console = findings(measured), Console()
    for line in lines(measured, found):
        console.print(line, highlight=False, soft_wrap=True)
    for number, each in enumerate(found, 1):
        console.print(f"\n[bold]{number}. {each.name}[/] (weight {each.weight:.2f})", highlight=False)
        console.print(f"   measured: {each.measured}", highlight=False, soft_wrap=True)
        console.print(f"   means:    {each.meaning}", highlight=False, soft_wrap=True)
        console.print(f"   try:      [bold]{each.setting}: {each.change}[/]", highlight=False, soft_wrap=True)
    if file:
        write_atomically(file, (json.dumps(tree(measured, found), indent=1) + "\n").encode())
