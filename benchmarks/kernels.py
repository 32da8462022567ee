"""Fitness kernels against their own matrix products: how far each task's kernel is from the machine's limit.

    python -m benchmarks.kernels [--rounds 9] [--only NAME]

For each workload the compiled unit of work runs on all devices of this process, and in turn with it a program of nothing but
its matrix products: the same shapes, the same types, as often. The ratio is products / kernel, 1 at the limit. A loop that may
end early, as a hunt does when all treasures are found, is counted as if it ran to its end.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import psutil

from benchmarks.record import record

CONFIGS = Path(__file__).parents[1] / "configs"
WORKLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "colouring": ("demo.yaml", {}),
    "colouring, facts": ("demo.yaml", {"model.key": 16, "model.hidden": 64, "model.activation": "gelu"}),
    "recall": ("recall/evolution.yaml", {}),
    "hunt 3 x 3": ("treasure_hunt/three.yaml", {}),
    "hunt 5 x 5": ("treasure_hunt/five.yaml", {}),
}


def measure(config: Path, overrides: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Seconds of kernel and products in turn, on all devices, and what follows from them."""
    import jax

    from benchmarks.products import alone, flops, products
    from es_randomized import Evolution, load
    from es_randomized.compilation import jit
    from es_randomized.drivers import plan

    made = Evolution.of(load(config, overrides))
    state = made.init()
    ask, rows, number = made.strategy.ask(state, 0), made.chunks[0], made.inputs(0)
    repeats = getattr(made.experiment.task, "steps", 1)
    found = products(made.chunk_losses.__wrapped__, ask.proposal, rows, number, repeats=repeats)
    function, operands = alone(found)
    only_products = jit(function, made.experiment.model.precision)
    devices = jax.local_devices()
    samples = [jax.device_put(ask.proposal, device) for device in devices]
    inputs = [jax.device_put(operands, device) for device in devices]
    began = time.perf_counter()
    made.chunk_losses.lower(ask.proposal, rows, number).compile()
    compiling = time.perf_counter() - began
    with ThreadPoolExecutor(len(devices)) as threads:

        def everywhere(run: Callable[[Any], Any], each: list[Any]) -> float:
            began = time.perf_counter()
            list(threads.map(lambda one: jax.block_until_ready(run(one)), each))
            return time.perf_counter() - began

        def kernel(sample: Any) -> Any:
            return made.chunk_losses(sample, rows, number)

        pairs = [(everywhere(kernel, samples), everywhere(only_products, inputs)) for _ in range(rounds + 1)][1:]
    members = len(devices) * int(made.experiment.plan.chunk)
    kernels, own = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratios = sorted(products_ / kernel_ for kernel_, products_ in pairs)
    return {
        "ratio": statistics.median(ratios),
        "ratio p10": ratios[len(ratios) // 10],
        "ratio p90": ratios[-1 - len(ratios) // 10],
        "members per second": members / kernels,
        "GFLOP/s": len(devices) * flops(found) / kernels / 1e9,
        "GFLOP/s of the products alone": len(devices) * flops(found) / own / 1e9,
        "parameters": made.parameters,
        "members": members,
        "devices": len(devices),
        "kernel MiB": made._program_bytes(made.chunk_rows) / plan.MIB,
        "resident MiB": psutil.Process().memory_info().rss / plan.MIB,
        "compile or load seconds": compiling,
        "tile": made.experiment.plan.tile,
        "block": made.experiment.plan.block,
    }


@click.command()
@click.option("--rounds", default=9, help="Interleaved repetitions.")
@click.option("--only", multiple=True, type=click.Choice(list(WORKLOADS)))
def main(rounds: int, only: tuple[str, ...]) -> None:
    """Measure the workloads and write benchmarks/results/kernels.json."""
    from es_randomized import compilation

    compilation.configure()
    results = {}
    for name in only or WORKLOADS:
        config, overrides = WORKLOADS[name]
        results[name] = found = measure(CONFIGS / config, overrides, rounds)
        print(
            f"{name:20} ratio {found['ratio']:.2f} [{found['ratio p10']:.2f}, {found['ratio p90']:.2f}]"
            f"  {found['members per second']:9,.0f} members/s  {found['GFLOP/s']:6.1f} GFLOP/s of "
            f"{found['GFLOP/s of the products alone']:6.1f}",
            flush=True,
        )
    if not only:
        record("kernels", results)


if __name__ == "__main__":
    main()
