"""`train` and `resume`."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, Unpack, get_args

import click
from rich.console import Console

from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.cli.overrides import parse_overrides
from es_randomized.cli.progress import Progress
from es_randomized.distributed.shape import Fanout
from es_randomized.service import TrainingOptions, resume, train_run
from es_randomized.session import RunResult

MISSED = 3  # exit status: all went well, but the target was not reached

Command = TypeVar("Command", bound=Callable[..., None])

OPTIONS = [
    click.option("--workers", type=click.IntRange(1), help="Ray workers; one per accelerator or core by default."),
    click.option("--devices-per-worker", type=click.IntRange(1), help="Accelerators, or else cores, of a worker; 1."),
    click.option("--address", help="Join this running Ray cluster (or `auto`) instead of starting a local one."),
    click.option(
        "--fanout",
        type=click.Choice(get_args(Fanout)),
        help="Serve all workers from here, or through supervisors of machines, or of groups of them; what is faster.",
    ),
    click.option("--local", is_flag=True, help="Do without Ray: evaluate in this process, on all its devices."),
    click.option("--dashboard-port", type=click.IntRange(1, 65535), help="Serve Ray's dashboard on this local port."),
    click.option(
        "--track",
        "trackers",
        multiple=True,
        help="Send curves there, besides TensorBoard: wandb, mlflow or a module with a class from Tracker.",
    ),
    click.option("--evaluate/--no-evaluate", default=True, help="Evaluate and draw when training ends."),
]


def _with_options(command: Command) -> Command:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command("train", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--run", type=LOCATION, help="Run folder or s3:// address; runs/<config>-<time> by default.")
@_with_options
@click.pass_context
def train_command(
    context: click.Context, config: Path, run: Path | str | None, **options: Unpack[TrainingOptions]
) -> None:
    """Train the experiment in CONFIG, a YAML file.

    Any setting can be changed on the command line by its dotted name, for example
    --driver.population 512 --objective.q 4 --seed 1.

    Ctrl-C finishes the generation in hand, saves and says how to resume. Exit status 3 where budget.until was not reached.
    """
    overrides, console = parse_overrides(context.args), console_of()
    _say_the_end(console, train_run(config, run, overrides=overrides, listener=Progress(console), **options))


@click.command("resume")
@click.argument("run", type=LOCATION)
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop again after this much training time.")
@click.option("--budget.generations", "generations", type=click.IntRange(1), help="Train for more than it had.")
@click.option("--changed-files", is_flag=True, help="Go on although files of your own were changed since it began.")
@_with_options
def resume_command(
    run: Path | str,
    seconds: float | None,
    generations: int | None,
    changed_files: bool,
    **options: Unpack[TrainingOptions],
) -> None:
    """Continue the training of RUN, a run folder or address, exactly where it stopped, however it stopped."""
    console = console_of()
    resumed = partial(resume, run, generations=generations, changed_files=changed_files)
    _say_the_end(console, resumed(seconds=seconds, listener=Progress(console), **options))


def _say_the_end(console: Console, result: RunResult) -> None:
    """How to resume, unless it was evaluated: then that was said already; exit status 3 without the target asked for."""
    if result.reason in ("interrupted", "out of time") and not result.score:
        console.print(f"resume with: es-randomized resume {result.folder.name}", soft_wrap=True)
    target = result.driver.experiment.budget.until
    if target and result.reason != "target reached":
        wanted = ", ".join(f"{level} {value:g}" for level, value in target.levels.items())
        console.print(f"the target was not reached: held out, {wanted}")
        sys.exit(MISSED)
