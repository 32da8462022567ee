"""`branch` and `replay`: what a journal is good for besides resuming."""

from pathlib import Path

import click

from es_randomized import compilation
from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.cli.overrides import parse_overrides
from es_randomized.config.yaml import load
from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import RunFolderError
from es_randomized.runs.branch import branch, verify
from es_randomized.runs.location import new_run, reading


@click.command("branch", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("run", type=LOCATION)
@click.option("--at", type=click.IntRange(0), required=True, help="The first generation that may differ.")
@click.option("--run", "target", type=LOCATION, help="Folder of the new run; RUN-at-<at> by default.")
@click.pass_context
def branch_command(context: click.Context, run: Path | str, at: int, target: Path | str | None) -> None:
    """Make a new run that shares the generations of RUN before --at; nothing is evaluated again.

    Settings may change from there on, by their dotted names: --driver.optimizer.learning_rate 0.01. Then `resume` it.
    """
    compilation.configure()
    with reading(run) as parent, new_run(target or _beside(run, at)) as folder:
        old = driver_of(parent.experiment())
        new = driver_of(load(parent.experiment_file, parse_overrides(context.args)))
        branch(parent, old, new, at, folder)
    console_of().print(f"branched before generation {at}: es-randomized resume {folder.name}", soft_wrap=True)


def _beside(run: Path | str, at: int) -> Path | str:
    """Where a branch goes by default: next to its parent."""
    if isinstance(run, Path):
        return run.with_name(f"{run.name}-at-{at}")
    address, mark, options = run.partition("?")
    return f"{address.rstrip('/')}-at-{at}{mark}{options}"


@click.command("replay")
@click.argument("run", type=LOCATION)
def replay_command(run: Path | str) -> None:
    """Recompute every state of RUN from its journal and compare with its snapshots, bit for bit."""
    compilation.configure()
    with reading(run) as folder:
        driver = driver_of(folder.experiment())
        agree = verify(folder, driver)
    console_of().print(f"{len(folder.losses())} generations replayed; snapshots compared: {len(agree)}")
    wrong = [generation for generation, same in agree.items() if not same]
    if wrong:
        raise RunFolderError(
            f"the states before generations {', '.join(map(str, wrong))} differ from their snapshots: this machine computes "
            "other bits than the one that trained, or a file was changed"
        )
