"""`branch` and `replay`: what a journal is good for besides resuming."""

from pathlib import Path

import click
from rich.console import Console

from es_randomized.cli.overrides import parse_overrides


@click.command("branch", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--at", type=click.IntRange(0), required=True, help="The first generation that may differ.")
@click.option("--run", "target", type=click.Path(path_type=Path), help="Folder of the new run; RUN-at-<at> by default.")
@click.pass_context
def branch_command(context: click.Context, run: Path, at: int, target: Path | None) -> None:
    """Make a new run that shares the generations of RUN before --at; nothing is evaluated again.

    Settings may change from there on, by their dotted names: --driver.optimizer.learning_rate 0.01. Then `resume` it.
    """
    from es_randomized import compilation
    from es_randomized.configuration import load
    from es_randomized.drivers.kinds import driver_of
    from es_randomized.runs.branch import branch
    from es_randomized.runs.folder import RunFolder

    compilation.configure()
    target = target or run.with_name(f"{run.name}-at-{at}")
    parent = RunFolder(run)
    old = driver_of(parent.experiment())
    new = driver_of(load(parent.experiment_file, parse_overrides(context.args)))
    branch(parent, old, new, at, RunFolder(target))
    Console().print(f"branched before generation {at}: es-randomized resume {target}", soft_wrap=True)


@click.command("replay")
@click.argument("run", type=click.Path(path_type=Path))
def replay_command(run: Path) -> None:
    """Recompute every state of RUN from its journal and compare with its snapshots, bit for bit."""
    from es_randomized import compilation
    from es_randomized.drivers.kinds import driver_of
    from es_randomized.errors import RunFolderError
    from es_randomized.runs.branch import verify
    from es_randomized.runs.folder import RunFolder

    compilation.configure()
    folder = RunFolder(run)
    driver = driver_of(folder.experiment())
    agree = verify(folder, driver)
    Console().print(f"{len(folder.losses())} generations replayed; snapshots compared: {len(agree)}")
    wrong = [generation for generation, same in agree.items() if not same]
    if wrong:
        raise RunFolderError(
            f"the states before generations {', '.join(map(str, wrong))} differ from their snapshots: this machine computes "
            "other bits than the one that trained, or a file was changed"
        )
