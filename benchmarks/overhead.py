"""What a generation costs beside its rollouts: a kernel that costs nothing, by population and number of workers.

    python -m benchmarks.overhead

Times `Evolution.step` (ask, evaluate, tell) in this process, on all its cores, and on one-core workers of a private Ray
cluster, in turns: a burst here, a burst there, so that a busy machine slows both. More workers than cores are oversubscribed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.record import record

POPULATIONS = (256, 1_024, 4_096, 16_384, 65_536)
WORKERS = (1, 2, 4, 8)
PAIRS = 9
BURST = 0.4  # seconds, and at least three generations


def experiment(population: int) -> Any:
    """One token, one number, twenty parameters."""
    from es_randomized import Evolution
    from es_randomized.config.yaml import build

    tree = {
        "task": {"kind": "benchmarks.zero_cost"},
        "objective": {"kind": "expected"},
        "model": {"width": 2, "blocks": 1, "hidden": 1},
        "batch": {"instances": 1, "seeds": 1},
        "driver": {"kind": "Open_ES", "population": population},
        "budget": {"generations": 100_000},
    }
    return Evolution.of(build(tree))


def burst(evolution: Any, evaluator: Any) -> list[float]:
    """Seconds of each generation."""
    state, times, until = evolution.init(), [], time.monotonic() + BURST
    while time.monotonic() < until or len(times) < 3:
        began = time.perf_counter()
        _, state = evolution.step(state, len(times), evaluator)
        times.append(time.perf_counter() - began)
    return times


def compare(population: int, workers: int, pairs: int) -> dict[str, Any]:
    """Milliseconds of a generation here and there, and of one over the other: medians, the last with its quartiles."""
    from es_randomized import LocalEvaluator
    from es_randomized.distributed.evaluator import RayEvaluator

    evolution = experiment(population)
    with LocalEvaluator(evolution) as here, RayEvaluator(evolution, workers) as there:
        bursts = [(burst(evolution, here), burst(evolution, there)) for _ in range(1 + pairs)][1:]
    alone, remote = ([seconds for pair in bursts for seconds in pair[place]] for place in (0, 1))
    over = [1e3 * (statistics.median(there) - statistics.median(here)) for here, there in bursts]
    low, middle, high = statistics.quantiles(over, n=4)
    return {
        "in this process": 1e3 * statistics.median(alone),
        "with workers": 1e3 * statistics.median(remote),
        "over": middle,
        "over, quartiles": [low, high],
        "least over": min(over),
    }


def measure(workers: int, populations: list[int], pairs: int) -> dict[str, Any]:
    """All populations for one number of workers."""
    from es_randomized import compilation
    from es_randomized.distributed.session import connect

    with connect(workers):
        compilation.configure()
        return {str(population): compare(population, workers, pairs) for population in populations}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--populations", type=int, nargs="+", default=POPULATIONS)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="bursts here and there, 2 or more")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(measure(given.workers[0], given.populations, given.pairs)))
        return
    results = {}
    for workers in given.workers:
        command = [sys.executable, "-m", "benchmarks.overhead", "--inside", "--workers", str(workers)]
        command += ["--pairs", str(given.pairs), "--populations", *map(str, given.populations)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results[str(workers)] = json.loads(output.splitlines()[-1])
        for population, times in results[str(workers)].items():
            low, high = times["over, quartiles"]
            print(
                f"{workers} workers, population {population:>6}: {times['with workers']:7.2f} ms, "
                f"{times['over']:7.2f} [{low:.2f}, {high:.2f}] over {times['in this process']:.2f} in this process",
                flush=True,
            )
    record("overhead", {"milliseconds per generation, by workers and population": results})


if __name__ == "__main__":
    main()
