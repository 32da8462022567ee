"""What every task and model moves and needs on accelerators that are not here, as their compilers see it.

    python -m benchmarks.accelerators [--target v5e ...] [--only NAME ...] [--block 64] [--label after]

Compiles a chunk of 256 members of every workload for every target whose compiler is installed; what the result has already stays,
unless it is named with --only, so it goes on where it was stopped. Nothing is run: the numbers are memory, bytes moved for a
member, and the time that a chunk takes at least. All of it takes about an hour on two cores.
"""

import time
from pathlib import Path
from typing import Any

import click

from benchmarks import kernels
from benchmarks.record import record, recorded

CONFIGS = kernels.CONFIGS
WORKLOADS: dict[str, tuple[str, dict[str, Any]]] = kernels.WORKLOADS | {
    "mastermind": ("treasure_hunt/three.yaml", {"task": {"kind": "permutation_mastermind", "n": 4, "guesses": 6}})
}
TARGETS = ("v5e", "v6e", "h100")
MEMBERS = 256


def measure(config: Path, overrides: dict[str, Any], target: str, block: int) -> dict[str, float]:
    """Of one chunk on one device."""
    from es_randomized import Evolution, load
    from es_randomized.accelerators.bounds import bounds
    from es_randomized.accelerators.device_type import device_type
    from es_randomized.accelerators.elsewhere import compiler_for
    from es_randomized.accelerators.hlo import Module
    from es_randomized.device_memory import DoesNotFitError, memory_bytes

    device = device_type(target)
    compiler = compiler_for(device)
    changes = overrides | {"driver.population": MEMBERS, "plan.chunk": MEMBERS, "plan.block": block}
    evolution = Evolution.of(load(config, changes), compiler=compiler)
    program, began = evolution.programs()[0], time.perf_counter()
    try:
        compiled = compiler.compile(program.function, *program.arguments)
    except DoesNotFitError as error:
        return {"MiB": error.wanted / 2**20, "does not fit": True}
    seconds = time.perf_counter() - began
    memory, temporaries = memory_bytes(compiled), compiled.memory_analysis().temp_size_in_bytes
    work, flops = Module(compiled.as_text()).work, float(evolution.cost().flops)
    least = bounds(work, flops, device, evolution.experiment.model.precision)
    return {
        "MiB": memory / 2**20,
        "temporaries MiB": temporaries / 2**20,
        "MB a member": work.bytes / MEMBERS / 1e6,
        "MFLOP a member": flops / MEMBERS / 1e6,
        "members/s at most": MEMBERS / max(least.values()),
        "loops that may end early": work.open_loops,
        "seconds to compile": seconds,
    } | {f"ms by {name}": 1e3 * value for name, value in least.items()}


@click.command(help=__doc__)
@click.option("--target", "targets", multiple=True, default=TARGETS)
@click.option("--only", multiple=True, type=click.Choice(list(WORKLOADS)))
@click.option("--block", default=64)
@click.option(
    "--label", default="after", help="Of these numbers in the result, which may hold those of other revisions."
)
def main(targets: tuple[str, ...], only: tuple[str, ...], block: int, label: str) -> None:
    from es_randomized import compilation
    from es_randomized.accelerators.elsewhere import NoCompilerError

    compilation.configure(platform="cpu")
    for target in targets:
        for name in only or WORKLOADS:
            if not only and name in recorded("accelerators").get(label, {}).get(target, {}):
                continue
            config, overrides = WORKLOADS[name]
            _keep(label, target, name, {"failed": "its compiler ended the process"})  # as libtpu's has: this stays then
            try:
                row = measure(CONFIGS / config, overrides, target, block)
            except NoCompilerError as error:
                print(error)
                _keep(label, target, name, None)
                break
            print(f"{target}, {name}: {_line(row)}; everything: {_keep(label, target, name, row)}", flush=True)


def _keep(label: str, target: str, name: str, row: dict[str, Any] | None) -> Path:
    """Write a row of the result, or take it away."""
    results = recorded("accelerators")
    rows = results.setdefault(label, {}).setdefault(target, {})
    if row is None:
        del rows[name]
    else:
        rows[name] = row
    return record("accelerators", results)


def _line(row: dict[str, float]) -> str:
    if "does not fit" in row:
        return f"does not fit: {row['MiB']:,.1f} MiB"
    return f"{row['MiB']:,.1f} MiB, {row['MB a member']:,.2f} MB a member, {row['members/s at most']:,.0f} members/s at most"


if __name__ == "__main__":
    main()
