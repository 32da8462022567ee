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
    "colouring": ("colouring/one_phase.yaml", {}),
    "colouring, facts": ("colouring/one_phase.yaml", {"model.key": 16, "model.hidden": 64, "model.activation": "gelu"}),
    "recall": ("recall/evolution.yaml", {}),
    "hunt 3 x 3": ("treasure_hunt/three.yaml", {}),
    "hunt 5 x 5": ("treasure_hunt/five.yaml", {}),
}
RECALL = {"width": 16, "blocks": 1, "hidden": 32, "stem": 32}  # other models, all at once
HUNT = {"width": 24, "blocks": 2, "hidden": 48}  # and step by step
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear_attention", "key": 4, "features": "elu"},
    "delta": {"kind": "delta", "key": 4},
    "gated": {"kind": "gated_linear", "key": 4},
    "recurrent delta": {"kind": "recurrent_delta", "key": 4},
    "delta RNN": {"kind": "delta_rnn", "key": 4},
    "gated RNN": {"kind": "gated_rnn", "units": 16},
    "window": {"kind": "transformer", "key": 4, "window": 3},
    "RG-LRU": {"kind": "rg_lru", "units": 16},
}
WORKLOADS["colouring, looped"] = (
    "colouring/one_phase.yaml",
    {"model": {"kind": "looped", "block": {"blocks": 1, "hidden": 32}}},
)
WORKLOADS["colouring, window"] = ("colouring/one_phase.yaml", {"model.window": 2})
WORKLOADS["colouring, all nodes"] = ("colouring/one_phase.yaml", {"model.window": "all"})
WORKLOADS["hunt, hypernetwork"] = (
    "treasure_hunt/three.yaml",
    {"model": {"kind": "hypernetwork", "base": HUNT | {"key": 8}}},
)
for name, model in MODELS.items():
    WORKLOADS[f"recall, {name}"] = ("recall/evolution.yaml", {"model": RECALL | model})
    WORKLOADS[f"hunt, {name}"] = ("treasure_hunt/three.yaml", {"model": HUNT | model})


def measure(config: Path, overrides: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Seconds of kernel and products in turn, on all devices, and what follows from them."""
    import jax

    from benchmarks.products import alone, flops, products
    from es_randomized import Evolution, load
    from es_randomized.compilation import jit
    from es_randomized.drivers import plan

    evolution = Evolution.of(load(config, overrides))
    state = evolution.init()
    ask, rows, number = evolution.strategy.ask(state, 0), evolution.chunks[0], evolution.inputs(0)
    repeats = getattr(evolution.experiment.task, "steps", 1)
    counts = products(evolution.chunk_losses.__wrapped__, ask.proposal, rows, number, repeats=repeats)
    function, operands = alone(counts)
    only_products = jit(function, evolution.experiment.model.precision)
    devices = jax.local_devices()
    began = time.perf_counter()
    evolution.chunk_losses.lower(ask.proposal, rows, number).compile()
    compiling = time.perf_counter() - began

    def kernel(sample: Any) -> Any:
        return evolution.chunk_losses(sample, rows, number)

    pairs = in_turn([(kernel, ask.proposal), (only_products, operands)], rounds)
    members = len(devices) * int(evolution.experiment.plan.chunk)
    kernels, own = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = sorted(products_ / kernel_ for kernel_, products_ in pairs)
    return {
        "ratio": statistics.median(ratios),
        "ratio p10": ratios[len(ratios) // 10],
        "ratio p90": ratios[-1 - len(ratios) // 10],
        "members per second": members / kernels,
        "GFLOP/s": len(devices) * flops(counts) / kernels / 1e9,
        "GFLOP/s of the products alone": len(devices) * flops(counts) / own / 1e9,
        "parameters": evolution.parameters,
        "members": members,
        "devices": len(devices),
        "kernel MiB": evolution._program_bytes(evolution.chunk_rows) / plan.MIB,
        "resident MiB": psutil.Process().memory_info().rss / plan.MIB,
        "compile or load seconds": compiling,
        "tile": evolution.experiment.plan.tile,
        "block": evolution.experiment.plan.block,
    }


def in_turn(programs: list[tuple[Callable[[Any], Any], Any]], rounds: int) -> list[list[float]]:
    """Seconds of each program with its input, all devices of this process at once, after a round that is not counted."""
    import jax

    devices = jax.local_devices()
    inputs = [(run, [jax.device_put(value, device) for device in devices]) for run, value in programs]
    with ThreadPoolExecutor(len(devices)) as threads:

        def everywhere(run: Callable[[Any], Any], values: list[Any]) -> float:
            began = time.perf_counter()
            list(threads.map(lambda value: jax.block_until_ready(run(value)), values))
            return time.perf_counter() - began

        return [[everywhere(run, values) for run, values in inputs] for _ in range(rounds + 1)][1:]


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
        results[name] = result = measure(CONFIGS / config, overrides, rounds)
        print(
            f"{name:20} ratio {result['ratio']:.2f} [{result['ratio p10']:.2f}, {result['ratio p90']:.2f}]"
            f"  {result['members per second']:9,.0f} members/s  {result['GFLOP/s']:6.1f} GFLOP/s of "
            f"{result['GFLOP/s of the products alone']:6.1f}",
            flush=True,
        )
    if not only:
        record("kernels", results)


if __name__ == "__main__":
    main()
