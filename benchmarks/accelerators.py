"""What every task moves and needs on accelerators that are not here, as their compilers see it.

    python -m benchmarks.accelerators [--target v5e ...] [--only NAME ...] [--block 64]

Compiles a chunk of 256 members of every workload for every target whose compiler is installed. Nothing is run: the numbers are
memory, bytes moved for a member, and the time that a chunk takes at least.
"""

import time
from pathlib import Path
from typing import Any

import click

from benchmarks.record import record

CONFIGS = Path(__file__).parents[1] / "configs"
WORKLOADS = {
    "colouring": "demo.yaml",
    "recall": "recall/evolution.yaml",
    "hunt 3 x 3": "treasure_hunt/three.yaml",
    "hunt 5 x 5": "treasure_hunt/five.yaml",
}
TARGETS = ("v5e", "v6e", "h100")
MEMBERS = 256


def measure(config: Path, target: str, block: int) -> dict[str, float]:
    """Of one chunk on one device."""
    from es_randomized import Evolution, load
    from es_randomized.accelerators.check import Compiled
    from es_randomized.accelerators.device_type import device_type
    from es_randomized.accelerators.elsewhere import compiler_for
    from es_randomized.accelerators.hlo import Module
    from es_randomized.compilation import memory_bytes

    device = device_type(target)
    compiler = compiler_for(device)
    changes = {"driver": {"population": MEMBERS}, "plan": {"chunk": MEMBERS, "block": block}}
    evolution = Evolution.of(load(config, changes), compiler=compiler)
    program, began = evolution.programs()[0], time.perf_counter()
    compiled = compiler.compile(program.function, *program.arguments)
    seconds = time.perf_counter() - began
    whole = Compiled(
        program.name, 1, memory_bytes(compiled), Module(compiled.as_text()).work, float(evolution.cost().flops)
    )
    bounds = whole.bounds(device, device.peak(evolution.experiment.model.precision))
    return {
        "MiB": whole.memory / 2**20,
        "MB a member": whole.work.bytes / MEMBERS / 1e6,
        "MFLOP a member": whole.flops / MEMBERS / 1e6,
        "members/s at most": MEMBERS / max(bounds.values()),
        "loops that may end early": whole.work.open_loops,
        "seconds to compile": seconds,
    } | {f"ms by {name}": 1e3 * value for name, value in bounds.items()}


@click.command(help=__doc__)
@click.option("--target", "targets", multiple=True, default=TARGETS)
@click.option("--only", multiple=True, type=click.Choice(list(WORKLOADS)))
@click.option("--block", default=64)
def main(targets: tuple[str, ...], only: tuple[str, ...], block: int) -> None:
    from es_randomized import compilation
    from es_randomized.accelerators.elsewhere import NoCompilerError

    compilation.configure(platform="cpu")
    results: dict[str, Any] = {}
    for target in targets:
        for name in only or WORKLOADS:
            try:
                results[f"{name} on {target}"] = row = measure(CONFIGS / WORKLOADS[name], target, block)
            except NoCompilerError as error:
                print(error)
                break
            print(
                f"{name} on {target}: {row['MiB']:,.1f} MiB, {row['MB a member']:,.2f} MB a member, "
                f"{row['members/s at most']:,.0f} members/s at most",
                flush=True,
            )
    print(f"everything: {record('accelerators', results)}")


if __name__ == "__main__":
    main()
