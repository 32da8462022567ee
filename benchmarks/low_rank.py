"""Members side by side: low-rank ones that share their matrix products against plain inference and against full-rank ones.

    python -m benchmarks.low_rank [--width 256] [--members 64]

All evaluate as many cases of one model, one per member, where sharing pays: plain inference has the same weights for all,
rank-1 members M x + A (B x), full-rank members matrices of their own. Medians of interleaved rounds; noise is drawn inside. The
last row is a whole generation, with the update.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.record import record

ROUNDS = 7


def contestants(width: int, members: int) -> dict[str, Callable[[], Callable[[], Any]]]:
    """What is timed, by name, made when it is asked for; each call evaluates all cases once."""
    import jax

    from es_randomized import Evolution, LocalEvaluator
    from es_randomized.compilation import jit
    from es_randomized.config.yaml import build

    def evolution(rank: int | None, block: int, **batch: int) -> Evolution:
        driver: dict[str, Any] = {"kind": "Open_ES", "population": members, "std": 0.01}
        tree = {
            "task": {"kind": "cycle_colouring"},
            "model": {"width": width, "blocks": 2, "hidden": 4 * width},
            "batch": {"instances": 1, "seeds": 1} | batch,
            "driver": driver | ({"rank": rank} if rank else {}),
            "plan": {"block": block, "tile": "auto", "chunk": members, "memory_mib": 16_384},
        }
        return Evolution.of(build(tree))

    def members_of(driver: Evolution) -> Callable[[], Any]:
        sample = driver.strategy.ask(driver.init(), 0).proposal
        rows, number = np.arange(driver.strategy.rows, dtype=np.int32), driver.inputs(0)
        return lambda: jax.block_until_ready(driver.chunk_losses(sample, rows, number))

    def plain() -> Callable[[], Any]:
        driver = evolution(None, 1, instances=members)
        weights, run = driver.centre(driver.init()), jit(driver.fitness.losses)
        return lambda: jax.block_until_ready(run(weights, np.uint32(0)))

    half = members // 2

    def generation() -> Callable[[], Any]:
        driver = evolution(1, half)
        evaluator, state = LocalEvaluator(driver), driver.init()
        return lambda: jax.block_until_ready(driver.step(state, 0, evaluator)[1])

    return {
        "plain inference": plain,
        "rank 1, side by side": lambda: members_of(evolution(1, half)),
        "rank 4, side by side": lambda: members_of(evolution(4, half)),
        "rank 1, one by one": lambda: members_of(evolution(1, 1)),
        "full rank, side by side": lambda: members_of(evolution(None, half)),
        "full rank, one by one": lambda: members_of(evolution(None, 1)),
        "rank 1, with the update": generation,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--members", type=int, default=64)
    arguments = parser.parse_args()
    from es_randomized import compilation

    compilation.configure()
    runs = {name: make() for name, make in contestants(arguments.width, arguments.members).items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    plain = statistics.median(seconds["plain inference"])
    summary = {}
    for name, times in seconds.items():
        low, *_, high = statistics.quantiles(times, n=10)
        median = statistics.median(times)
        summary[name] = {"median": median, "p10": low, "p90": high, "of plain inference": plain / median}
        print(f"{name:24} {1e3 * median:9.1f} ms, {plain / median:6.1%} of plain inference", flush=True)
    record("low_rank", vars(arguments) | {"cases per member": 1, "seconds": summary})


if __name__ == "__main__":
    main()
