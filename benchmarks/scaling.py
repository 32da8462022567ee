"""Strong and weak scaling over workers on this machine, and the costs that the simulator is given.

    python -m benchmarks.scaling                      (about 7 minutes)
    python -m benchmarks.scaling --seconds 1 --repetitions 2

The experiment is `configs/colouring/one_phase.yaml`; nothing is saved while it trains. Strong: 256 members whatever the workers.
Weak: 256 members a worker. Chunks are the same in all of them. All pools exist at once and rest except for the one that is
measured, so repetitions are interleaved: every repetition measures every row once, in another order. Workers above the number of
cores are oversubscribed and marked so. Costs come from one worker alone (256 and 1,024 members, both placements of the update)
and from one worker beside 500 others who never answer. What two cores lose to each other without any coordinator is measured
too: the efficiency that nobody can exceed here.
"""

import argparse
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.record import record

WORKERS = (1, 2, 4, 8)
KINDS = ("strong, coordinator", "strong, workers", "weak")  # and who computes the update; workers, in weak scaling
LARGE = 3  # repetitions in which the costs of the larger population are measured: a generation of it takes a second
TARGET = 0.95  # efficiency from one worker to two
CONFIG = Path(__file__).parents[1] / "configs" / "colouring" / "one_phase.yaml"


def pools(stack: ExitStack, population: int, counts: list[int]) -> dict[int, Any]:
    """An evaluator for every population. The smallest one's has all workers, the others' a worker for its share."""
    from es_randomized import Evolution, compilation, load
    from es_randomized.distributed.session import connect
    from es_randomized.scaling.instrument import InstrumentedEvaluator

    sizes = {population * count: count for count in counts} | {population: counts[-1]}
    stack.enter_context(connect(sum(sizes.values())))
    compilation.configure()
    chunk = Evolution.of(load(CONFIG, {"driver.population": population})).experiment.plan.chunk
    evaluators = {}
    for members, workers in sizes.items():
        evolution = Evolution.of(load(CONFIG, {"driver.population": members, "plan.chunk": chunk}))
        evaluators[members] = stack.enter_context(InstrumentedEvaluator(evolution, workers, claims=str(members)))
        print(
            f"{members} members: {workers} workers, {evaluators[members].pinned} with a core of their own", flush=True
        )
    return evaluators


def measure(seconds: float, repetitions: int, population: int, counts: list[int]) -> dict[str, Any]:
    from es_randomized.compilation import usable_cores
    from es_randomized.scaling.calibrate import Calibration
    from es_randomized.scaling.crowding import crowded_speed
    from es_randomized.scaling.measure import efficiency, interleaved, measured, spread, spreads

    with ExitStack() as stack:
        evaluators = pools(stack, population, counts)
        evolution, calibration, cores = evaluators[population].evolution, Calibration(), usable_cores()
        large = max(members for members in evaluators if members <= 4 * population)
        together, crowded = min(cores, counts[-1]), list[float]()

        def calibrate(repetition: int) -> None:
            for members in (population, large) if repetition < LARGE else (population,):
                calibration.observe(evaluators[members], seconds / 2)
            crowded.append(crowded_speed(evaluators[population], together, seconds / 2))
            print(f"repetition {repetition + 1} of {repetitions}", flush=True)

        def run(case: tuple[str, int]) -> dict[str, float]:
            kind, count = case
            evaluator = evaluators[population * count if kind == "weak" else population]
            return measured(evaluator, count, seconds, here=kind == KINDS[0])

        rows = interleaved([(kind, count) for kind in KINDS for count in counts], run, repetitions, calibrate)
        calibration.observe_crowd(evaluators[population], seconds)
    return {
        "population": population,
        "chunks": len(evolution.chunks),
        "cores": cores,
        "crowded": spread(crowded),
        "repetitions": repetitions,
        "seconds of a row": seconds,
        "costs": asdict(calibration.costs(evolution)),
        "rows": [
            {"kind": kind, "workers": count, "oversubscribed": count > cores}
            | spreads(repeated)
            | {"efficiency": efficiency(rows[kind, 1], repeated, count)}
            for (kind, count), repeated in rows.items()
        ],
    }


def line(row: dict[str, Any]) -> str:
    label = f"{row['workers']} workers{' (oversubscribed)' if row['oversubscribed'] else ''}"
    return (
        f"{row['kind']:20} {label:26} {_shown(row['generations per second'])} generations/s, "
        f"efficiency {_shown(row['efficiency'])}, "
        f"workers busy {row['workers busy']['median']:4.0%}, "
        f"coordinator {1e3 * row['seconds of the coordinator']['median']:5.1f} ms, {row['messages']['median']:.0f} messages, "
        f"{(row['bytes down']['median'] + row['bytes up']['median']) / 1e3:.0f} kB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of every row in every repetition")
    parser.add_argument("--repetitions", type=int, default=6)
    parser.add_argument("--population", type=int, default=256, help="members; weak scaling: of a worker")
    parser.add_argument("--workers", type=int, choices=WORKERS, default=WORKERS[-1], help="at most")
    options = parser.parse_args()
    counts = [count for count in WORKERS if count <= options.workers]
    results = measure(options.seconds, options.repetitions, options.population, counts)
    print("\n".join(map(line, results["rows"])))
    print(
        f"speed of a worker that nobody coordinates while all {results['cores']} cores compute: {_shown(results['crowded'])}"
    )
    for row in results["rows"]:
        if row["workers"] == 2 and results["cores"] >= 2:
            median = row["efficiency"]["median"]
            print(f"{row['kind']}, 1 to 2 workers: efficiency {median:.3f}, target {TARGET}: {_met(median)}")
    record("scaling", results)


def _shown(spread: dict[str, float]) -> str:
    return f"{spread['median']:.3f} [{spread['low']:.3f}, {spread['high']:.3f}]"


def _met(efficiency: float) -> str:
    return "met" if efficiency >= TARGET else f"missed by {TARGET - efficiency:.3f}"


if __name__ == "__main__":
    main()
