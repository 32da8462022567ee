"""bfloat16 products against float32 ones: the products alone, whole kernels, and whether runs learn the same.

    python -m benchmarks.precision [--seeds 3] [--generations 300] [--rounds 9]

Products and kernels run on one core, in turn; a ratio is the time with float32 divided by that with bfloat16, above 1 where
bfloat16 is faster. Runs that differ in `model.precision` alone are paired by training seed; each is scored with its own
precision on instances and seeds that training never saw.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.record import record

CONFIGS = Path(__file__).parents[1] / "configs"
PRECISIONS = ("float32", "bfloat16")
WIDTHS = (16, 32, 64, 128, 256, 512)
COLUMNS = 640
PRODUCT_FLOPS = 2e9  # per timing: some 20 ms
KERNELS: dict[str, tuple[str, dict[str, Any]]] = {
    "colouring, width 16": ("colouring/one_phase.yaml", {}),
    "colouring, width 64": ("colouring/one_phase.yaml", {"model.width": 64, "model.hidden": 128}),
    "colouring, width 128": ("colouring/one_phase.yaml", {"model.width": 128, "model.hidden": 512}),
    "recall, width 16": ("recall/evolution.yaml", {}),
    "recall, width 64": ("recall/evolution.yaml", {"model.width": 64, "model.hidden": 128, "model.stem": 128}),
    "hunt 3 x 3, width 16": ("treasure_hunt/three.yaml", {}),
    "hunt 5 x 5, width 24": ("treasure_hunt/five.yaml", {}),
    "hunt 5 x 5, width 64": ("treasure_hunt/five.yaml", {"model.width": 64, "model.hidden": 256}),
}
LEARNING = CONFIGS / "colouring/one_phase.yaml", {"driver.population": 128}


def in_turn(contestants: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round, after one that does not count."""
    import jax

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - began)
    return {name: times[1:] for name, times in seconds.items()}


def ratio(base: list[float], other: list[float]) -> dict[str, float]:
    """The median of base / other over rounds, with its spread."""
    low, *_, high = statistics.quantiles([b / o for b, o in zip(base, other, strict=True)], n=10)
    return {"median": statistics.median(b / o for b, o in zip(base, other, strict=True)), "p10": low, "p90": high}


def products_of(width: int, rounds: int) -> dict[str, Any]:
    """A square matrix times 640 columns: float32; bfloat16 as Eigen computes it, and as the option is compiled."""
    from benchmarks.products import Product, alone, flops
    from es_randomized.compilation import jit

    def repeated(dtype: str, compiled_for: Any) -> tuple[Counter[Product], Callable[[], Any]]:
        product = Product((width, width), (width, COLUMNS), dtype, (((1,), (0,)), ((), ())), "float32")
        counts = Counter({product: max(8, int(PRODUCT_FLOPS / product.flops))})
        function, operands = alone(counts)
        program = jit(function, compiled_for)
        return counts, lambda: program(operands)

    programs = {
        "float32": repeated("float32", "float32"),
        "bfloat16 by Eigen": repeated("bfloat16", "float32"),
        "bfloat16": repeated("bfloat16", "bfloat16"),
    }
    seconds = in_turn({name: run for name, (_, run) in programs.items()}, rounds)
    work = flops(programs["float32"][0])
    speeds = {f"GFLOP/s {name}": work / statistics.median(times) / 1e9 for name, times in seconds.items()}
    return speeds | {"ratio": ratio(seconds["float32"], seconds["bfloat16"])}


def kernel(config: str, overrides: dict[str, Any], rounds: int) -> dict[str, Any]:
    """One chunk with either precision."""
    from es_randomized import Evolution, load

    def chunk(precision: str) -> Callable[[], Any]:
        evolution = Evolution.of(load(CONFIGS / config, overrides | {"model.precision": precision, "plan.chunk": 8}))
        sample, rows, number = (
            evolution.strategy.ask(evolution.init(), 0).proposal,
            evolution.chunks[0],
            evolution.inputs(0),
        )
        return lambda: evolution.chunk_losses(sample, rows, number)

    seconds = in_turn({precision: chunk(precision) for precision in PRECISIONS}, rounds)
    times = {f"{name} ms": 1e3 * statistics.median(times) for name, times in seconds.items()}
    return times | {"ratio": ratio(seconds["float32"], seconds["bfloat16"])}


def learned(precision: str, seed: int, generations: int) -> dict[str, Any]:
    """One run: what its last weights score on held-out draws, and its members' mean loss on the way."""
    from es_randomized import Evolution, LocalEvaluator, load, train
    from es_randomized.evaluation.held_out import HeldOut
    from es_randomized.evaluation.randomness import RepeatedRuns

    config, overrides = LEARNING
    changes = {"model.precision": precision, "seed": seed, "budget.generations": generations, "budget.seconds": None}
    evolution = Evolution.of(load(config, overrides | changes))
    steps = list(train(evolution, LocalEvaluator(evolution), evolution.init()))
    weights, held_out = evolution.centre(steps[-1].state), HeldOut(evolution.experiment)
    outcome = held_out.outcomes(RepeatedRuns(held_out.seeds, weights[None], None), held_out.bundles)
    scores = {"held_out_loss": float(np.asarray(outcome.loss).mean())} | held_out(weights)
    return scores | {
        "members' mean loss": [round(float(step.losses.mean()), 5) for step in steps[:: max(1, generations // 30)]]
    }


def learning(seeds: int, generations: int) -> dict[str, Any]:
    """Runs paired by training seed, the mean differences with Student's interval, and the spread over training seeds."""
    from es_randomized.evaluation.statistics import mean_estimate

    runs: dict[str, list[Any]] = {precision: [] for precision in PRECISIONS}
    for seed in range(seeds):
        for precision in PRECISIONS:
            runs[precision].append(result := learned(precision, seed, generations))
            print(f"seed {seed} {precision:9} held-out loss {result['held_out_loss']:.4f}", flush=True)
    compared = {}
    for score in ("held_out_loss", "held_out_average", "held_out_p95"):
        ours, theirs = (np.array([run[score] for run in runs[precision]]) for precision in reversed(PRECISIONS))
        compared[score] = {
            "bfloat16 less float32, low, high": list(mean_estimate(ours - theirs, 0.95)),
            "standard deviation over seeds, float32": float(theirs.std(ddof=1)),
        }
        print(score, compared[score], flush=True)
    return {"config": LEARNING[0].name, "overrides": LEARNING[1], "compared": compared, "runs": runs}


@click.command()
@click.option("--seeds", default=3, help="Training seeds of each precision.")
@click.option("--generations", default=300)
@click.option("--rounds", default=9, help="Interleaved repetitions.")
def main(seeds: int, generations: int, rounds: int) -> None:
    """Measure and write benchmarks/results/precision.json."""
    from es_randomized import compilation

    compilation.configure()
    products, kernels = {}, {}
    for width in WIDTHS:
        products[width] = result = products_of(width, rounds)
        print(f"width {width:4} { ({name: round(x, 1) for name, x in result.items() if name != 'ratio'}) }", flush=True)
    for name, (config, overrides) in KERNELS.items():
        kernels[name] = result = kernel(config, overrides, rounds)
        spread = result["ratio"]
        print(f"{name:22} ratio {spread['median']:.2f} [{spread['p10']:.2f}, {spread['p90']:.2f}]", flush=True)
    settings = {"seeds": seeds, "generations": generations, "rounds": rounds}
    results = {"products": products, "kernels": kernels, "learning": learning(seeds, generations)}
    record("precision", settings | results)


if __name__ == "__main__":
    main()
