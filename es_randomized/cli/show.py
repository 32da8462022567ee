"""`show` and `strategies`."""

from pathlib import Path

import click
from rich.table import Table

from es_randomized import compilation
from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.cli.overrides import parse_overrides
from es_randomized.config.yaml import dump, load, write_yaml
from es_randomized.distributed.shape import rule
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.kinds import driver_of
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.location import reading
from es_randomized.runs.metrics import read_metrics
from es_randomized.strategies.catalogue import REFUSED, named, names


@click.command("show", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("what", metavar="RUN|CONFIG", type=LOCATION)
@click.pass_context
def show_command(context: click.Context, what: Path | str) -> None:
    """Show what a run or an experiment is: its settings, parameters, memory and the work of one generation.

    Takes dotted overrides like train, to see what a change would cost before paying for it.
    """
    config = what if isinstance(what, Path) and not what.is_dir() else None
    folder = None
    if config:
        experiment = load(config, parse_overrides(context.args))
    else:
        with reading(what) as folder:
            experiment = folder.experiment()
    compilation.configure()
    driver = driver_of(experiment)
    console = console_of()
    console.print(write_yaml(dump(driver.experiment)), highlight=False)
    console.print(_work(driver))
    if folder:
        console.print(_progress(folder))


def _work(driver: Driver) -> Table:
    """What one generation is; of later phases what differs from the first one."""
    table = Table(title="one generation", title_justify="left", show_header=False)
    model, interface = driver.experiment.model, driver.experiment.task.interface
    table.add_row("parameters", f"{driver.parameters:,}")
    if memory := model.memory(interface):
        table.add_row("memory of a case", f"{memory:,} numbers, token by token")
    first = _of_generation(driver.at(0))
    for name, value in first.items():
        table.add_row(name, value)
    for phase in driver.experiment.by_phase[1:]:
        table.add_section()
        table.add_row("phase", f"from generation {phase.first:,} on; what is not here is as in the first phase")
        for name, value in _of_generation(driver.at(phase.first)).items():
            if value != first.get(name):
                table.add_row(name, value)
    return table


def _of_generation(driver: Driver) -> dict[str, str]:
    task, batch, cost = driver.experiment.task, driver.experiment.batch, driver.cost()
    bundles = batch.bundles(task)
    return {
        "driver": driver.title,
        "cases": f"{bundles:,} bundles of {task.bundle} × {batch.seeds} seeds = {bundles * batch.seeds:,}",
        **driver.describe(),
        **({"handing out": rule()} if driver.first_with_members() is not None else {}),
        "rollouts": f"{cost.rollouts:,}",
        "tokens": f"{cost.tokens:,}",
        "matrix products": f"{cost.flops / 1e9:,.1f} GFLOP of {driver.experiment.model.precision} numbers",
    }


def _progress(folder: RunFolder) -> str:
    metrics = read_metrics(folder.metrics)
    if not len(metrics):
        return "no generation yet"
    last = metrics.slice(len(metrics) - 1).to_pylist()[0]
    start = folder.start()
    return (f"started from {start.origin['given']}, {start.origin['weights']}\n" if start else "") + (
        f"{last['generation'] + 1} generations, {last['rollouts']:,} rollouts, {last['tokens']:,} tokens, "
        f"{last['flops'] / 1e9:,.1f} GFLOP, {last['seconds']:.0f} s of training, "
        f"{last['device_seconds']:.0f} device seconds, loss {last['loss_mean']:.4f}"
    )


@click.command("strategies")
def strategies_command() -> None:
    """List every strategy: what it is, whether its population is streamed, what it needs, or why it is refused."""
    table = Table(title="strategies (a streamed population is never held as a matrix)", title_justify="left")
    table.caption = (
        "driver.kind can be `gradient` as well: gradient descent on the same objective and data; or the name of a module with a "
        "strategy of your own, in the current folder or on PYTHONPATH"
    )
    for column in ("driver.kind", "what", "streamed", "needs"):
        table.add_column(column)
    for kind in names():
        strategy = named(kind)
        assert strategy is not None
        summary, streamed = (strategy.__doc__ or "").partition("\n")[0], "no" if strategy.holds_matrix else "yes"
        table.add_row(kind, summary.rstrip("."), streamed, ", ".join(strategy.needs()))
    for kind, reason in REFUSED.items():
        table.add_row(kind, f"refused: {reason}", "", "", style="dim")
    console_of().print(table)
