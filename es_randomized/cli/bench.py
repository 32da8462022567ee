"""`bench`."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import click
from rich.table import Table

from es_randomized.cli.console import console_of
from es_randomized.cli.overrides import parse_overrides
from es_randomized.cli.progress import connecting
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump, load
from es_randomized.errors import ConfigError, StorageError, UserError
from es_randomized.runs.provenance import hardware
from es_randomized.scaling.against import Change, changes, check_same, read_measurement

if TYPE_CHECKING:
    from es_randomized.scaling.bench import Scaling
    from es_randomized.scaling.simulation.predict import Prediction

DEFAULT = Path("configs/colouring/one_phase.yaml")
MORE = (4, 16, 64, 256, 1_024)  # workers that are simulated


class BenchOptions(TypedDict):
    """What `measure_scaling` takes beside the experiment."""

    workers: int | None
    devices: int
    address: str | None
    seconds: float
    repetitions: int


@click.command("bench", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--workers", type=click.IntRange(1), help="Ray workers; one per accelerator or core by default.")
@click.option("--devices-per-worker", "devices", type=click.IntRange(1), default=1, help="Accelerators, or else cores.")
@click.option("--address", help="Join this running Ray cluster (or `auto`) instead of starting a local one.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=2.0, help="Of every row and repetition; 2.")
@click.option("--repetitions", type=click.IntRange(1), default=3, help="Interleaved; 3.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write everything here as well.")
@click.option(
    "--against", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Say what got slower since."
)
@click.option(
    "--to", help="Measure the time until held-out checks find this instead: p95=0.735, average=... or worst=..."
)
@click.option("--runs", type=click.IntRange(1), default=3, help="With --to: seeds for every number of workers; 3.")
@click.pass_context
def bench_command(
    context: click.Context,
    config: Path | None,
    file: Path | None,
    against: Path | None,
    to: str | None,
    runs: int,
    **options: Unpack[BenchOptions],
) -> None:
    """Measure how CONFIG scales on a cluster: with 1, 2, 4, ... of its workers.

    CONFIG is an experiment, configs/colouring/one_phase.yaml by default; dotted overrides work as with train. Of one with
    phases its own sections are measured. Nothing is saved of its training. Prints what was measured and, apart from it, what a
    simulator predicts for more workers from the costs of one.
    With --against, a file of an earlier --json, it also says what got slower, and fails if something clearly did.
    With --to, it trains whole runs until a quality is reached, and says how long that takes.
    """
    arguments = list(context.args)
    if config and str(config).startswith("--"):  # an override: the experiment was left out
        arguments, config = [str(config), *arguments], None
    if config is None and not DEFAULT.exists():
        raise ConfigError(f"{DEFAULT} is not here; name an experiment: es-randomized bench CONFIG")
    if file and not file.parent.is_dir():
        raise StorageError(f"--json {file}: there is no folder {file.parent}; make it first")
    experiment = load(config or DEFAULT, parse_overrides(arguments))
    if not experiment.driver.distributed:
        raise ConfigError(
            f"driver.kind {experiment.driver.kind} has no members that workers could evaluate; bench takes an evolution strategy"
        )
    if to and against:
        raise ConfigError("--to and --against measure different things; ask for one of them")
    if to:
        _time_to(experiment, to, runs, options, file)
        return
    console = console_of()
    if experiment.phases:
        console.print("generations as the experiment's own sections say, without its phases")
        experiment = replace(experiment, phases=[], restarts=None)
    earlier = read_measurement(against) if against else None
    if against and earlier:
        check_same(against, earlier, dump(experiment))
    console.print(connecting(options["address"]))
    from es_randomized.scaling.bench import measure_scaling

    scaling = measure_scaling(experiment, **options, say=console.print)
    repeated = {count: scaling.simulated(count) for count in scaling.measured}
    console.print(_measured(scaling, repeated))
    predictions = _predictions(scaling)
    for table in _simulated(predictions):
        console.print(table)
    if file:
        _write(file, scaling, repeated, predictions)
        console.print(f"everything: {file}", soft_wrap=True)
    if against and earlier:
        found = changes(earlier["measured"], scaling.measured)
        console.print(_changed(found, against, same_machine=earlier["hardware"] == hardware()))
        if slower := [change for change in found if change.clear and change.factor > 1]:
            raise UserError(f"{len(slower)} of {len(found)} numbers got worse since {against}; {slower[0].what} most")


def _time_to(experiment: Experiment, to: str, runs: int, options: BenchOptions, file: Path | None) -> None:
    from es_randomized.compilation import usable_cores
    from es_randomized.scaling.measure import doubling
    from es_randomized.scaling.time_to import time_to, until

    experiment = until(experiment, to)
    if options["address"] and not options["workers"]:
        raise ConfigError(
            "--to on a running cluster trains with a fixed number of workers; say how many at most: --workers N"
        )
    console = console_of()
    counts = doubling(options["workers"] or usable_cores() // options["devices"])
    times = time_to(experiment, counts, options["devices"], runs, options["address"], console.print)
    table = Table(title=f"seconds of training to {to}", title_justify="left")
    seeds = [f"seed {experiment.seed + number}" for number in range(runs)]
    for column in ("workers", "median", "times as fast", *seeds):
        table.add_column(column, justify="right")
    table.caption = "median: without the fastest and the slowest run. –: not within the budget"
    for row in times:
        faster = times[0].typical / row.typical
        cells = [_finite(row.typical, ".1f"), _finite(faster, ".2f"), *(_finite(each, ".1f") for each in row.seconds)]
        table.add_row(str(row.workers), *cells)
    console.print(table)
    if file:
        found = {row.workers: [each if math.isfinite(each) else None for each in row.seconds] for row in times}
        content = {"experiment": dump(experiment), "to": to, "seconds by workers": found, "hardware": hardware()}
        file.write_text(json.dumps(content, indent=2) + "\n")
        console.print(f"everything: {file}", soft_wrap=True)


def _finite(value: float, how: str) -> str:
    return format(value, how) if math.isfinite(value) else "–"


class Predicted(NamedTuple):
    """Rows that the simulator predicts, for one kind of population and one place of the update."""

    population: str
    here: bool
    rows: "list[Prediction]"


def _measured(scaling: "Scaling", repeated: dict[int, float]) -> Table:
    """What was measured, and beside it what the simulator makes of the same."""
    table = Table(title="measured (medians)", title_justify="left")
    for column in ("workers", "members/s", "generations/s", "efficiency", "coordinator ms", "messages", "bytes"):
        table.add_column(column, justify="right")
    table.add_column("simulated generations/s", justify="right", style="dim")
    table.caption = "efficiency: members/s of a worker against one worker's. messages, bytes, ms: of a generation"
    cores = scaling.cores
    for count, row in scaling.measured.items():
        median = {name: spread["median"] for name, spread in row.items()}
        table.add_row(
            f"{count}" + (" *" if cores and count > cores else ""),
            f"{median['members per second']:,.0f}",
            f"{median['generations per second']:.3f}",
            f"{median['efficiency']:.3f}",
            f"{1e3 * median['seconds of the coordinator']:.1f}",
            f"{median['messages']:.0f}",
            f"{median['bytes down'] + median['bytes up']:,.0f}",
            f"{repeated[count]:.3f}",
        )
    if cores and len(scaling.measured) > 1:
        table.caption += (
            f". cores lose to each other: all busy, with no coordinator, each has {scaling.crowded:.2f} of its speed"
        )
    if cores and any(count > cores for count in scaling.measured):
        table.caption += f". * more workers than the {cores} cores here"
    return table


def _changed(found: list[Change], against: Path, same_machine: bool) -> Table:
    """What changed since an earlier measurement, the worst first."""
    table = Table(title=f"against {against}", title_justify="left")
    for column in ("workers", "what", "before", "now", "times the cost", ""):
        table.add_column(column, justify="left" if column in ("what", "") else "right")
    for change in found:
        word = "" if not change.clear else "worse" if change.factor > 1 else "better"
        numbers = (f"{change.before:,.4g}", f"{change.now:,.4g}", f"{change.factor:.3f}")
        table.add_row(f"{change.workers}", change.what, *numbers, word)
    table.caption = "worse or better: the ranges of all repetitions do not touch"
    if not same_machine:
        table.caption += ". It was measured on another machine"
    return table


def _predictions(scaling: "Scaling") -> list[Predicted]:
    """What the simulator predicts for more workers, each with a core or accelerator of its own."""
    costs, chunks = scaling.costs, scaling.chunks
    members = chunks * costs.members
    kinds = {
        f"the same population, {members}": (False, [count for count in MORE if count <= 4 * chunks]),
        f"{members} members a worker": (True, list(MORE)),
    }
    places = (False, True) if costs.sums else (True,)  # some strategies update in one place only
    return [
        Predicted(title, here, scaling.predicted(counts, here, weak))
        for title, (weak, counts) in kinds.items()
        for here in places
    ]


def _simulated(predictions: list[Predicted]) -> list[Table]:
    """One table for each kind of population."""
    tables = {}
    for population, here, rows in predictions:
        if population not in tables:
            title = f"SIMULATED, not measured: {population}"
            tables[population] = Table(title=title, title_justify="left", style="dim")
            for column in ("workers", "members/s", "generations/s", "efficiency", "coordinator busy", "update by"):
                tables[population].add_column(column, justify="right")
        for row in rows:
            tables[population].add_row(
                f"{row['workers']:,}",
                f"{row['members per second']:,.0f}",
                f"{row['generations per second']:.3f}",
                f"{row['efficiency']:.3f}",
                f"{row['coordinator busy']:.0%}",
                "the coordinator" if here else "workers",
            )
        tables[population].add_section()
    return list(tables.values())


def _write(file: Path, scaling: "Scaling", repeated: dict[int, float], predictions: list[Predicted]) -> None:
    from es_randomized.runs.provenance import provenance

    tree = {"hardware": hardware(), "provenance": provenance(), **asdict(scaling)}
    for count, rate in repeated.items():
        tree["measured"][count]["simulated generations per second"] = rate
    tree["simulated"] = [
        {"population": population, "update here": here, "rows": rows} for population, here, rows in predictions
    ]
    try:
        file.write_text(json.dumps(tree, indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {file}: {error.strerror}; give another file to --json") from None
