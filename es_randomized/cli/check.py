"""`check`."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from es_randomized.cli.console import console_of
from es_randomized.cli.overrides import parse_overrides
from es_randomized.config.yaml import load
from es_randomized.errors import MemoryBudgetError, UserError

if TYPE_CHECKING:
    from es_randomized.accelerators.device_type import DeviceType
    from es_randomized.check import Check
    from es_randomized.config.sections import Plan

DOES_NOT_FIT = 3  # exit status
MIB, GIB = 2**20, 2**30


class CompilerEndedError(UserError):
    """A compiler ended its process instead of saying what it did not like."""


@click.command("check", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="What it is to run on: v5e, v5p, v6e, l4, a100, a100-80, h100 or h200.")
@click.option("--devices", type=click.IntRange(1), default=1, help="How many of them; 1.")
@click.option(
    "--dollars", type=click.FloatRange(0), help="Price of one of them an hour: what evaluations cost at least."
)
@click.option("--here", is_flag=True, hidden=True, help="Compile in this process, which a compiler may end.")
@click.pass_context
def check_command(
    context: click.Context, config: Path, target: str, devices: int, dollars: float | None, here: bool
) -> None:
    """Say whether CONFIG fits an accelerator, and how fast and how dear it can be there at best. Neither is needed here.

    Everything the run would compile there is compiled here by that accelerator's own compiler; dotted overrides work as with
    train. Exit status 3 where it does not fit.
    """
    if not here:
        given = ["--devices", str(devices), *(["--dollars", str(dollars)] if dollars is not None else [])]
        sys.exit(_in_a_child([str(config), "--target", target, *given, *context.args], target))
    experiment = load(config, parse_overrides(context.args))
    from es_randomized import compilation
    from es_randomized.accelerators.device_type import device_type
    from es_randomized.accelerators.elsewhere import compiler_for
    from es_randomized.check import check, fitting

    device, console = device_type(target), console_of()
    compilation.configure(platform="cpu")
    compiler = compiler_for(device)
    console.print(f"{config.name} on {devices} × {device.name} ({_title(device)})", soft_wrap=True)
    reason = ""
    try:
        checks = check(experiment, compiler)
    except MemoryBudgetError as error:
        checks, reason = [], str(error)
    for each in checks:
        _show(console, each, devices, dollars)
    if checks and all(each.fits for each in checks):
        return
    console.print(f"does not fit: {reason or _missing(checks)}", soft_wrap=True)
    console.print(_advice(fitting(experiment, compiler)), soft_wrap=True)
    sys.exit(DOES_NOT_FIT)


def _in_a_child(arguments: list[str], target: str) -> int:
    """The exit status of the same command in a process of its own.

    Raises:
        CompilerEndedError: a signal ended that process.
    """
    status = subprocess.run([sys.executable, "-P", "-m", "es_randomized", "check", "--here", *arguments]).returncode
    if status >= 0:
        return status
    raise CompilerEndedError(
        f"the compiler for {target} crashed ({signal.Signals(-status).name}), so nothing can be said of this experiment there; "
        "other targets, --plan.block 1 or another release of the compiler may do"
    )


def _title(device: "DeviceType") -> str:
    return f"{device.memory / GIB:,.0f} GiB, {device.bandwidth / 1e9:,.0f} GB/s, {device.flops / 1e12:,.0f} TFLOP/s"


def _show(console: Console, check: "Check", devices: int, dollars: float | None) -> None:
    plan, device = check.experiment.plan, check.device
    for block, least, moved in check.blocks:
        bound = f"{1 / least:,.0f} members/s at most, {moved / 1e6:,.2f} MB of a member moved"
        console.print(f"block {block}: {bound}", soft_wrap=True, highlight=False)
    table = Table(
        title=f"chunk {plan.chunk}, tile {plan.tile}, block {plan.block}", title_justify="left", box=SIMPLE_HEAD
    )
    for column in ("program", "calls", "MiB", "MB moved", "ms at least", "because of"):
        words = column in ("program", "because of")
        table.add_column(column, justify="left" if words else "right", no_wrap=words)
    for each in check.programs:
        seconds, why = check.seconds(each)
        calls = f"{each.calls}" if each.calls else ""
        megabytes = f"{each.work.bytes / 1e6:,.2f}"
        table.add_row(each.name, calls, f"{each.memory / MIB:,.1f}", megabytes, f"{1e3 * seconds:,.3f}", why)
    console.print(table)
    if not check.fits:  # of what does not compile nothing else is known
        return
    loops = sum(each.work.open_loops for each in check.programs)
    console.print(f"fits: {check.memory / MIB:,.0f} MiB of {device.usable / MIB:,.0f}")
    console.print(f"of a member: {check.moved / 1e6:,.2f} MB moved, {check.flops / 1e6:,.1f} MFLOP of matrix products")
    if loops:
        console.print("loops that may end early count in full length")
    what = "members/s" if check.members > 1 else "steps/s"
    console.print(f"upper bound: {check.rate(devices):,.0f} {what}", highlight=False)
    if dollars is not None:
        price = check.dollars(devices, dollars)
        console.print(f"lower bound: {price:,.2f} dollars for 1e9 evaluations, at {dollars:g} an hour each")


def _missing(checks: "list[Check]") -> str:
    worst = max(checks, key=lambda check: check.memory)
    return (
        f"the largest program needs {worst.memory / MIB:,.0f} MiB, {(worst.memory - worst.device.usable) / MIB:,.0f} more than "
        f"{worst.device.name} has for programs"
    )


def _advice(plan: "Plan | None") -> str:
    if plan is None:
        return "no smaller plan fits either: make the model or the batch smaller"
    names = ("chunk", "tile", "block", "memory_mib")
    return "this fits: " + " ".join(f"--plan.{name} {getattr(plan, name)}" for name in names)
