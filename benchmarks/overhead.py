"""What a generation costs beside its rollouts: a kernel that costs nothing, by population and number of workers.

    python -m benchmarks.overhead

Times `Evolution.step` (draw, evaluate, update) on a private Ray cluster of one-core workers and in this process. More
workers than cores are oversubscribed and marked so.
"""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.record import record

POPULATIONS = (256, 1_024, 4_096, 16_384, 65_536)
WORKERS = (0, 1, 2, 4, 8)  # 0: in this process
SECONDS = 3.0


def generation_seconds(population: int, evaluator_of: Any) -> dict[str, float]:
    """Median, and 10th and 90th percentile, of the seconds of a generation."""
    from es_randomized import Evolution
    from es_randomized.configuration import build

    tree = {
        "task": {"kind": "benchmarks.nothing"},
        "model": {"width": 2, "blocks": 1, "hidden": 1},
        "batch": {"instances": 1, "seeds": 1},
        "driver": {"kind": "Open_ES", "population": population},
        "budget": {"generations": 100_000},
    }
    evolution = Evolution.of(build(tree))
    times = []
    with evaluator_of(evolution) as evaluator:
        state = evolution.init()
        for generation in range(3):
            _, state = evolution.step(state, generation, evaluator)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until or len(times) < 10:
            began = time.perf_counter()
            _, state = evolution.step(state, 3 + len(times), evaluator)
            times.append(time.perf_counter() - began)
    low, *_, high = statistics.quantiles(times, n=10)
    return {"median": statistics.median(times), "p10": low, "p90": high, "generations": len(times)}


def measure(workers: int) -> dict[str, Any]:
    """All populations for one number of workers."""
    from es_randomized import LocalEvaluator, compilation

    if not workers:
        compilation.configure()
        return {str(each): generation_seconds(each, LocalEvaluator) for each in POPULATIONS}
    from es_randomized.distributed.session import connect

    with connect(workers):
        from es_randomized.distributed.ray_evaluator import RayEvaluator

        compilation.configure()
        return {str(each): generation_seconds(each, lambda e: RayEvaluator(e, workers)) for each in POPULATIONS}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        raise SystemExit
    results = {}
    for workers in WORKERS:
        command = [sys.executable, "-m", "benchmarks.overhead", str(workers)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results[str(workers)] = json.loads(output.splitlines()[-1])
        for population, found in results[str(workers)].items():
            label = f"{workers} workers" if workers else "in this process"
            print(f"{label:16} population {population:>6}: {1e3 * found['median']:7.2f} ms", flush=True)
    record("overhead", {"seconds per generation, by workers and population": results})
