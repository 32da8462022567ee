"""`report`."""

from contextlib import ExitStack
from pathlib import Path

import click

from es_randomized import compilation
from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.report.page import write_page
from es_randomized.report.sweep.trials import is_sweep
from es_randomized.runs.location import reading


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=LOCATION)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder of the page."
)
def report_command(runs: tuple[Path | str, ...], out: Path) -> None:
    """Write one page about RUN, or about several runs of one task: OUT/index.html, and its figures as PNG files.

    The folder of a sweep may be named as well, or alone: how its trials learned, what the best settings came to, and a table of
    all of them.

    Runs that differ only in their seed are one group and are shown as one curve with its interval. The page needs no
    network and no script. It shows what `evaluate` has found, and says what was not evaluated.
    """
    compilation.configure()
    sweeps = [place for place in runs if isinstance(place, Path) and is_sweep(place)]
    with ExitStack() as stack:
        folders = [stack.enter_context(reading(place)) for place in runs if place not in sweeps]
        page = write_page(folders, out, sweeps)
    console_of().print(f"page: {page} ({page.stat().st_size / 2**20:.1f} MB)", highlight=False, soft_wrap=True)
