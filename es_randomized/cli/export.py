"""`export`."""

from pathlib import Path

import click

from es_randomized import compilation
from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.runs.checkpoint import export
from es_randomized.runs.location import reading


@click.command("export")
@click.argument("run", type=LOCATION)
@click.argument("target", type=click.Path(path_type=Path))
def export_command(run: Path | str, target: Path) -> None:
    """Keep the weights of RUN in the new folder TARGET, a checkpoint: with config, metrics and evaluation, without journal.

    `es-randomized evaluate TARGET` scores it again on any machine.
    """
    compilation.configure()
    with reading(run) as folder:
        export(folder, target)
    console_of().print(f"checkpoint: {target}", soft_wrap=True)
