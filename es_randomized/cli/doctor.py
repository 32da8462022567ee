"""`doctor`."""

import json
from pathlib import Path

import click
from rich.text import Text

from es_randomized import compilation
from es_randomized.cli.console import console_of
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
    found, console = findings(measured), console_of()
    for line in lines(measured, found):
        console.print(line, highlight=False, soft_wrap=True)
    for number, each in enumerate(found, 1):
        heading = Text.assemble("\n", (f"{number}. {each.name}", "bold"), f" (weight {each.weight:.2f})")
        console.print(heading, highlight=False)
        console.print(f"   measured: {each.measured}", highlight=False, soft_wrap=True)
        console.print(f"   means:    {each.meaning}", highlight=False, soft_wrap=True)
        change = Text.assemble("   try:      ", (f"{each.setting}: {each.change}", "bold"))
        console.print(change, highlight=False, soft_wrap=True)
    if file:
        write_atomically(file, (json.dumps(tree(measured, found), indent=1) + "\n").encode())
