"""`preflight`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from es_randomized.cli.console import console_of
from es_randomized.cli.overrides import parse_overrides
from es_randomized.cli.progress import connecting
from es_randomized.config.yaml import load
from es_randomized.errors import ClusterError

if TYPE_CHECKING:
    from es_randomized.distributed.verdict import Machine

PATIENCE = 120.0  # seconds for a machine to start and answer
WIDTH = 110  # characters of the table


@click.command("preflight", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--address", default="auto", help="Of the running Ray cluster; `auto`, the one here.")
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), default=PATIENCE, help="For a machine to answer; 120."
)
@click.pass_context
def preflight_command(context: click.Context, config: Path, address: str, seconds: float) -> None:
    """Try every machine of a cluster before CONFIG runs on it: one line a machine. The status is 1 if one fails or differs.

    All at once start a worker with all their devices, compile a chunk of CONFIG, run it again, and answer messages. Versions,
    kinds of device, losses and speed must agree. Dotted overrides work as with train.
    """
    experiment = load(config, parse_overrides(context.args))
    console, began = console_of(), time.monotonic()
    console.print(connecting(address))
    from es_randomized import compilation
    from es_randomized.distributed.preflight import preflight
    from es_randomized.distributed.session import connect

    with connect(None, address):
        compilation.configure(platform="cpu")  # accelerators of the cluster are the workers'
        machines, others = preflight(experiment, seconds)
    _show(console, machines)
    if others:
        console.print(f"takes no workers: {', '.join(others)}", soft_wrap=True)
    for machine in machines:
        for fault in machine.faults:
            console.print(f"{_name(machine)}: {fault}", soft_wrap=True)
    failed = sum(bool(machine.faults) for machine in machines)
    took = time.monotonic() - began
    if failed:
        raise ClusterError(f"{failed} of {len(machines)} machines would not do; what to do is above")
    console.print(f"{len(machines)} of {len(machines)} machines are ready ({took:.0f} s)")


def _show(console: Console, machines: "list[Machine]") -> None:
    table = Table(box=SIMPLE_HEAD)
    for column in ("machine", "devices", "start s", "chunk ms", "message ms", "MB/s", "GiB free", ""):
        table.add_column(column, justify="left" if column in ("machine", "devices", "") else "right", no_wrap=True)
    for machine in machines:
        table.add_row(_name(machine), *_numbers(machine), "see below" if machine.faults else "ready")
    console.width = max(console.width, WIDTH)  # as a job has no terminal, it would have 80
    console.print(table)


def _numbers(machine: "Machine") -> tuple[str, ...]:
    seen = machine.seen
    if seen is None:
        return (f"{machine.room}", *[""] * 5)
    devices, ms = f"{seen.devices} {seen.info.device}", 1e3 * seen.warm
    link = f"{machine.milliseconds:.1f}", f"{machine.rate:,.0f}"
    return (devices, f"{seen.started:.1f}", f"{ms:,.1f}", *link, f"{seen.free / 2**30:.1f}")


def _name(machine: "Machine") -> str:
    return f"{machine.address} {machine.node[:8]}"
