"""`bench`."""

import json
import math
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from es_randomized.cli.overrides import parse_overrides
from es_randomized.errors import ConfigError, StorageError

DEMO = Path("configs/demo.yaml")
MORE = (4, 16, 64, 256, 1_024)  # workers that are simulated
CALLS = 10_000  # simulated for a row, about: a second


@click.command("bench", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--workers", type=click.IntRange(1), help="Ray workers; one per accelerator or core by default.")
@click.option("--devices-per-worker", "devices", type=click.IntRange(1), default=1, help="Accelerators, or else cores.")
@click.option("--address", help="Join this running Ray cluster (or `auto`) instead of starting a local one.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=2.0, help="Of every row and repetition; 2.")
@click.option("--repetitions", type=click.IntRange(1), default=3, help="Interleaved; 3.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write everything here as well.")
@click.pass_context
def bench_command(context: click.Context, config: Path | None, **options: Any) -> None:
    """Measure how CONFIG scales on a cluster: with 1, 2, 4, ... of its workers.

    CONFIG is an experiment, configs/demo.yaml by default; dotted overrides work as with train. Nothing is saved of its
    training. Prints what was measured and, apart from it, what a simulator predicts for more workers from the costs of one.
    """
    from es_randomized.config.yaml import load

    arguments = list(context.args)
    if config and str(config).startswith("--"):  # an override: the experiment was left out
        arguments, config = [str(config), *arguments], None
    if config is None and not DEMO.exists():
        raise ConfigError(f"{DEMO} is not here; name an experiment: es-randomized bench CONFIG")
    file = options["file"]
    if file and not file.parent.is_dir():
        raise StorageError(f"--json {file}: there is no folder {file.parent}; make it first")
    experiment = load(config or DEMO, parse_overrides(arguments))
    if not experiment.driver.distributed:
        raise ConfigError(
            f"driver.kind {experiment.driver.kind} has no members to hand out to workers; bench takes an evolution strategy"
        )
    console = Console()
    found = _measure(experiment, console, **{name: options[name] for name in options if name != "file"})
    console.print(_measured(found))
    for table in _simulated(found):
        console.print(table)
    if file:
        _write(file, found)
        console.print(f"everything: {file}", soft_wrap=True)


def _measure(
    experiment: Any,
    console: Console,
    workers: int | None,
    devices: int,
    address: str | None,
    seconds: float,
    repetitions: int,
) -> dict[str, Any]:
    """Rows measured on the cluster, and the costs of one worker."""
    from es_randomized import compilation
    from es_randomized.distributed.session import connect

    console.print("starting Ray ..." if not address else f"joining the Ray cluster at {address} ...")
    with ExitStack() as stack:
        stack.enter_context(connect(workers and workers * devices, address))
        compilation.configure(platform="cpu")  # accelerators of the cluster are the workers'
        from es_randomized.config.yaml import dump
        from es_randomized.distributed.resolution import resolved_there
        from es_randomized.drivers.evolution import Evolution
        from es_randomized.scaling.calibrate import Calibration
        from es_randomized.scaling.crowding import crowded_speed
        from es_randomized.scaling.instrument import InstrumentedEvaluator
        from es_randomized.scaling.measure import doubling, efficiency, interleaved, measured, spreads

        evolution = Evolution.of(resolved_there(experiment, devices))
        evaluator = InstrumentedEvaluator(evolution, workers, devices)
        stack.callback(evaluator.close)
        counts, calibration, crowded = doubling(len(evaluator.everyone)), Calibration(), list[float]()
        cores = None if address else compilation.usable_cores()
        # On a cluster it is not known whose cores are neighbours: there, busy ones are taken to be as fast as one alone.
        together = min(cores or 1, counts[-1])
        console.print(f"{evolution.title}: {counts[-1]} workers ready; about {_duration(counts, seconds, repetitions)}")

        def calibrate(_: int) -> None:
            calibration.observe(evaluator, seconds / 2)
            crowded.append(crowded_speed(evaluator, together, seconds / 2) if together > 1 else 1.0)

        rows = interleaved(counts, lambda count: measured(evaluator, count, seconds, None), repetitions, calibrate)
        calibration.observe_crowd(evaluator, seconds)
        return {
            "experiment": dump(evolution.experiment),
            "chunks": len(evolution.chunks),
            "cores": cores,
            "crowded": statistics.median(crowded),
            "costs": calibration.costs(evolution),
            "here": {count: _decided(evaluator, count) for count in counts},
            "measured": {
                count: spreads(found) | {"efficiency": efficiency(rows[1], found, count)}
                for count, found in rows.items()
            },
        }


def _decided(evaluator: Any, workers: int) -> bool:
    """Whether the coordinator computes updates with so many workers."""
    evaluator.use_first(workers)
    parts = evaluator.evolution.strategy.parts
    return parts is None or evaluator.updates_here(parts)


def _duration(counts: list[int], seconds: float, repetitions: int) -> str:
    return f"{(len(counts) + 2) * seconds * repetitions + 3 * seconds:.0f} s"


def _measured(found: dict[str, Any]) -> Table:
    """What was measured, and beside it what the simulator makes of the same."""
    from es_randomized.scaling.simulation.costs import Cluster
    from es_randomized.scaling.simulation.simulate import simulate

    table = Table(title="measured (medians)", title_justify="left")
    for column in ("workers", "members/s", "generations/s", "efficiency", "coordinator ms", "messages", "bytes"):
        table.add_column(column, justify="right")
    table.add_column("simulated generations/s", justify="right", style="dim")
    table.caption = "efficiency: members/s of a worker against one worker's. messages, bytes, ms: of a generation"
    cores = found["cores"]
    for count, row in found["measured"].items():
        cluster = Cluster(count, cores or math.inf, found["crowded"], per_machine=count if cores else 1)
        again = simulate(found["costs"], cluster, found["chunks"], 20, found["here"][count])
        row["simulated generations per second"] = again.generations_per_second

        def of(name: str, row: dict[str, Any] = row) -> float:
            return float(row[name]["median"])

        table.add_row(
            f"{count}" + (" *" if cores and count > cores else ""),
            f"{of('members per second'):,.0f}",
            f"{of('generations per second'):.3f}",
            f"{of('efficiency'):.3f}",
            f"{1e3 * of('seconds of the coordinator'):.1f}",
            f"{of('messages'):.0f}",
            f"{of('bytes down') + of('bytes up'):,.0f}",
            f"{again.generations_per_second:.3f}",
        )
    if cores and len(found["measured"]) > 1:
        table.caption += (
            f". cores lose to each other: all busy, with no coordinator, each has {found['crowded']:.2f} of its speed"
        )
    if cores and any(count > cores for count in found["measured"]):
        table.caption += f". * more workers than the {cores} cores here"
    return table


def _simulated(found: dict[str, Any]) -> list[Table]:
    """What the simulator predicts for more workers, each with a core or accelerator of its own; kept in `found` too."""
    from es_randomized.scaling.simulation.costs import Cluster
    from es_randomized.scaling.simulation.predict import predict

    costs, chunks = found["costs"], found["chunks"]
    members = chunks * costs.members
    kinds = {
        f"the same population, {members}": (lambda _: chunks, [count for count in MORE if count <= 4 * chunks]),
        f"{members} members a worker": (lambda count: chunks * count, list(MORE)),
    }
    tables, found["simulated"] = [], []
    for title, (chunks_of, counts) in kinds.items():
        table = Table(title=f"SIMULATED, not measured: {title}", title_justify="left", style="dim")
        for column in ("workers", "members/s", "generations/s", "efficiency", "coordinator busy", "update by"):
            table.add_column(column, justify="right")
        for here in (False, True):
            if not here and not costs.sums:
                continue  # a strategy whose update is made in one place
            rows = predict(costs, counts, chunks_of, here, Cluster(1), calls=CALLS)
            found["simulated"].append({"population": title, "update here": here, "rows": rows})
            for row in rows:
                table.add_row(
                    f"{row['workers']:,}",
                    f"{row['members per second']:,.0f}",
                    f"{row['generations per second']:.3f}",
                    f"{row['efficiency']:.3f}",
                    f"{row['coordinator busy']:.0%}",
                    "the coordinator" if here else "workers",
                )
            table.add_section()
        tables.append(table)
    return tables


def _write(file: Path, found: dict[str, Any]) -> None:
    from dataclasses import asdict

    from es_randomized.runs.provenance import hardware, provenance

    tree = {"hardware": hardware(), "provenance": provenance()} | found | {"costs": asdict(found["costs"])}
    try:
        file.write_text(json.dumps(tree, indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {file}: {error.strerror}; give another file to --json") from None
