"""Strong and weak scaling over workers on this machine, and the costs that the simulator is given.

    python -m benchmarks.scaling                      (about 7 minutes)
    python -m benchmarks.scaling --seconds 1 --repetitions 2

The experiment is `configs/demo.yaml`; nothing is saved while it trains. Strong: 256 members whatever the workers. Weak: 256
members a worker. Chunks are the same in all of them. All pools exist at once and rest except for the one that is measured, so
repetitions are interleaved: every repetition measures every row once, in another order. Workers above the number of cores are
oversubscribed and marked so. Costs come from one worker alone (256 and 1,024 members, both placements of the update) and from
one worker beside 500 others who never answer.
"""

import argparse
import random
import statistics
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.record import record

WORKERS = (1, 2, 4, 8)
LARGE = 3  # repetitions in which the costs of the larger population are measured: a generation of it takes a second
DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def row_of(found: list[Any], members: int, workers: int) -> dict[str, float]:
    """One repetition of one row: medians over its generations."""

    def of(value: Any) -> float:
        return float(statistics.median(map(value, found)))

    seconds = statistics.fmean(each.seconds for each in found)
    return {
        "generations per second": 1 / seconds,
        "members per second": members / seconds,
        "seconds of kernels": of(lambda each: sum(each.chunks) / len(each.chunks)) * len(found[0].chunks),
        "seconds of kernels and updates on workers": of(lambda each: each.computed),
        "share of the workers' time": of(lambda each: each.computed / each.seconds) / workers,
        "seconds of the coordinator": of(lambda each: each.coordinator),
        "seconds of the coordinator between calls": of(lambda each: each.turn + each.issue + each.collect),
        "seconds of Ray's other threads": of(lambda each: each.background),
        "calls": of(lambda each: each.calls),
        "messages": 2 * of(lambda each: each.calls),
        "bytes down": of(lambda each: each.down),
        "bytes up": of(lambda each: each.up),
    }


def pools(stack: ExitStack, population: int, workers: int) -> tuple[dict[int, Any], int]:
    """An evaluator for every population, and the cores there are."""
    from es_randomized import Evolution, compilation, load
    from es_randomized.distributed.accounts import Accounts
    from es_randomized.distributed.session import connect

    sizes = {population * count: count for count in WORKERS if count <= workers}
    stack.enter_context(connect(workers + sum(sizes.values())))
    compilation.configure()
    base = Evolution.of(load(DEMO, {"driver.population": population}))
    chunk = base.experiment.plan.chunk
    found = {}
    for members, count in sizes.items():
        evolution = Evolution.of(load(DEMO, {"driver.population": members, "plan.chunk": chunk}))
        found[members] = stack.enter_context(Accounts(evolution, workers if members == population else count))
        print(f"{members} members: {len(found[members].everyone)} workers, {found[members].pinned} pinned", flush=True)
    return found, compilation.usable_cores()


def measure(seconds: float, repetitions: int, population: int, most: int) -> dict[str, Any]:
    from es_randomized.distributed.calibration import Alone

    rows: dict[tuple[str, int], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        evaluators, cores = pools(stack, population, most)
        counts = [count for count in WORKERS if count <= most]
        cases = [(kind, count) for kind in ("strong, coordinator", "strong, workers", "weak") for count in counts]
        large = max(members for members in evaluators if members <= 4 * population)
        alone, order = Alone(), random.Random(0)
        for repetition in range(repetitions):
            for members in (population, large) if repetition < LARGE else (population,):
                alone.observe(evaluators[members], seconds / 2)
            for kind, count in order.sample(cases, len(cases)):
                members = population * count if kind == "weak" else population
                evaluator = evaluators[members]
                evaluator.using(evaluator.everyone[:count])
                evaluator.here = kind == "strong, coordinator"
                found = evaluator.generations(seconds)
                rows.setdefault((kind, count), []).append(row_of(found, members, count))
            print(f"repetition {repetition + 1} of {repetitions}", flush=True)
        alone.observe_crowd(evaluators[population], seconds)
        costs = asdict(alone.costs(evaluators[population].evolution))
    return {
        "population": population,
        "chunks": len(evaluators[population].evolution.chunks),
        "cores": cores,
        "costs": costs,
        "rows": [
            {"kind": kind, "workers": count, "oversubscribed": count > cores}
            | {name: spread([each[name] for each in rows[kind, count]]) for name in rows[kind, count][0]}
            for kind, count in cases
        ],
        "efficiency": efficiencies(rows),
    }


def efficiencies(rows: dict[tuple[str, int], list[dict[str, float]]]) -> dict[str, Any]:
    """Members per second of a worker against those of one worker alone, repetition by repetition."""
    rate = "members per second"
    return {
        f"{kind}, {count} workers": spread(
            [many[rate] / one[rate] / count for one, many in zip(rows[kind, 1], found, strict=True)]
        )
        for (kind, count), found in sorted(rows.items())
        if count > 1
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of every row in every repetition")
    parser.add_argument("--repetitions", type=int, default=6)
    parser.add_argument("--population", type=int, default=256, help="members; weak scaling: of a worker")
    parser.add_argument("--workers", type=int, choices=WORKERS, default=WORKERS[-1], help="at most")
    options = parser.parse_args()
    results = measure(options.seconds, options.repetitions, options.population, options.workers)
    for row in results["rows"]:
        rate, busy = row["generations per second"], row["share of the workers' time"]
        label = " (oversubscribed)" if row["oversubscribed"] else ""
        print(
            f"{row['kind']:20} {row['workers']} workers{label:17} {rate['median']:7.3f} generations/s "
            f"[{rate['low']:.3f}, {rate['high']:.3f}], workers busy {busy['median']:.0%}, "
            f"coordinator {1e3 * row['seconds of the coordinator']['median']:.1f} ms"
        )
    for name, found in results["efficiency"].items():
        print(f"efficiency, {name}: {found['median']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    record("scaling", results)


if __name__ == "__main__":
    main()
