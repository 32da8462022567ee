"""What a generation of few products costs on two workers, by the size of its chunks: the more chunks, the more messages.

    python -m benchmarks.small_generations

Times `Evolution.step` (ask, evaluate, tell) of a small batch of the demo's, with chunks of every size in turns, again and again,
so that a busy machine slows all of them. The size that a plan chooses by itself is marked.
"""

import argparse
import statistics
from typing import Any

from benchmarks.overhead import burst
from benchmarks.record import record

MEMBERS = (16, 32, 64, 128)
WORKERS = 2
ROUNDS = 5


def evolution(chunk: int | str) -> Any:
    """The demo's model and task with 64 cases a generation."""
    from es_randomized import Evolution
    from es_randomized.config.yaml import build

    tree = {
        "task": {"kind": "cycle_colouring", "n": 10, "colours": 3},
        "model": {"width": 16, "blocks": 2, "hidden": 32},
        "batch": {"instances": 16, "seeds": 4},
        "driver": {"kind": "Open_ES", "population": 256},
        "budget": {"generations": 100_000},
        "plan": {"chunk": chunk},
    }
    return Evolution.of(build(tree))


def seconds(chunk: int, workers: int) -> float:
    """The median of a burst of generations with chunks of this size."""
    from es_randomized.distributed.evaluator import RayEvaluator

    trained = evolution(chunk)
    with RayEvaluator(trained, workers) as there:
        burst(trained, there)  # compiles, and waits for the last worker
        return statistics.median(burst(trained, there))


def compare(sizes: list[int], workers: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a generation, the median of all rounds with the least and the most, by chunk size."""
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            times[size].append(1e3 * seconds(size, workers))
    return {
        str(size): {"median": statistics.median(found), "least": min(found), "most": max(found)}
        for size, found in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=MEMBERS, help="members of a chunk")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    from es_randomized import compilation
    from es_randomized.distributed.session import connect

    with connect(given.workers):
        compilation.configure()
        planned = evolution("auto").experiment.plan.chunk
        found = compare(list(given.members), given.workers, given.rounds)
    for size, times in found.items():
        mark = "  <- the plan's own" if int(size) == planned else ""
        print(
            f"chunks of {size:>4} members: {times['median']:6.1f} ms [{times['least']:.1f}, {times['most']:.1f}]{mark}"
        )
    record("small_generations", {"planned": planned, "milliseconds per generation, by members of a chunk": found})


if __name__ == "__main__":
    main()
