"""Simulated scaling: first the runs that `benchmarks.scaling` measured, then 1 to 10,000 workers, failures and dollars.

    python -m benchmarks.simulate        (after benchmarks.scaling; about 5 minutes)

Writes `results/simulate.json` and `docs/figures/scaling.png`. Costs come from one worker alone and are not fitted to the
runs they are compared with. docs/scaling.md says what is modelled; machines, network, failures and prices are assumptions
and options here.
"""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.record import record, recorded
from es_randomized.scaling.simulation.costs import NO_HAZARDS, Cluster, Costs, Hazards, Prices
from es_randomized.scaling.simulation.predict import predict
from es_randomized.scaling.simulation.simulate import simulate

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 10_000)
TOLERANCE = 0.1
VALIDATION_GENERATIONS = 100
STRONG = 65_536  # members
CHUNKS = 4  # of a worker in a generation, where chunks are made larger
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "scaling.png"


def validation(scaling: dict[str, Any]) -> list[dict[str, Any]]:
    """Generations per second, measured and simulated, for every row that was measured."""
    costs, rows = Costs.of(scaling["costs"]), []
    for row in scaling["rows"]:
        count, measured = row["workers"], row["generations per second"]
        cluster = Cluster(count, cores=float(scaling["cores"]), crowded=scaling["crowded"]["median"], per_machine=count)
        chunks = scaling["chunks"] * (count if row["kind"] == "weak" else 1)
        here = row["kind"] == "strong, coordinator"
        simulated = simulate(costs, cluster, chunks, VALIDATION_GENERATIONS, here).generations_per_second
        rows.append(
            {"kind": row["kind"], "workers": count, "oversubscribed": row["oversubscribed"]}
            | {"measured": measured, "simulated": simulated, "ratio": simulated / measured["median"]}
        )
    return rows


def scenarios(costs: Costs, chunks: int) -> dict[str, tuple[Costs, Any]]:
    """Costs and chunks by workers: a fixed population, one that grows with the workers, and larger chunks.

    Args:
        chunks: of the measured population, which is a worker's share where the population grows.
    """
    scenarios = {
        f"strong: {STRONG:,} members": (costs, lambda count: STRONG // costs.members),
        f"weak: {chunks * costs.members} members a worker": (costs, lambda count: chunks * count),
    }
    for seconds in (1, 10):
        times = max(1, round(seconds / (costs.kernel * costs.members)))
        larger = costs.with_chunks_of(times)
        scenarios[f"weak: {CHUNKS} chunks of {seconds} s a worker"] = (larger, lambda count: CHUNKS * count)
    return scenarios


def predictions(costs: Costs, chunks: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All scenarios, with both placements of the update, without and with failures."""
    cluster = Cluster(1, per_machine=options.per_machine, latency=options.latency, bandwidth=options.bandwidth)
    hazards = Hazards(options.failures, options.preemptions, options.notice, options.detection, options.replacement)
    kinds = {
        "none": (NO_HAZARDS, Prices(options.worker_dollars, options.coordinator_dollars)),
        "failures and preemptions": (hazards, Prices(options.spot_dollars, options.coordinator_dollars)),
    }
    workers, predicted = [count for count in WORKERS if count <= options.workers], []
    for name, (theirs, chunks_of) in scenarios(costs, chunks).items():
        for update in ("workers", "coordinator"):
            for happens, (risk, prices) in kinds.items():
                run = partial(predict, theirs, workers, chunks_of, update == "coordinator", cluster)
                rows = run(risk, prices, calls=options.calls)
                predicted.append({"scenario": name, "update": update, "hazards": happens, "simulated": rows})
                last = rows[-1]
                print(
                    f"{name:36} update by {update:11} {happens:24} {last['workers']:>6} workers: "
                    f"efficiency {last['efficiency']:.3f}, {last['generations per second']:.4f} generations/s, "
                    f"{last['dollars per 1e9 evaluations']:,.2f} dollars per 1e9 evaluations",
                    flush=True,
                )
    return predicted


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = partial(parser.add_argument, type=float)
    add("--workers", type=int, default=WORKERS[-1], help="at most")
    add("--calls", type=int, default=20_000, help="to simulate for a row, about")
    add("--per-machine", type=int, default=16, help="workers of a machine, one core each")
    add("--latency", default=5e-4, help="seconds of the network, both ways")
    add("--bandwidth", default=1.25e9, help="bytes a second each way at the coordinator")
    add("--failures", default=0.001, help="of a machine in an hour, without notice")
    add("--preemptions", default=0.05, help="of a machine in an hour, with notice")
    add("--notice", default=30.0, help="seconds")
    add("--detection", default=13.7, help="seconds until a machine that is gone is missed; Ray's default, measured")
    add("--replacement", default=180.0, help="seconds until another machine works in its place")
    add("--worker-dollars", default=0.045, help="an hour of a worker's core on demand")
    add("--spot-dollars", default=0.018, help="an hour of a worker's core that can be preempted")
    add("--coordinator-dollars", default=0.36, help="an hour of the coordinator's machine")
    return parser.parse_args()


def main() -> None:
    from benchmarks.scaling_figure import save

    options, scaling = parsed(), recorded("scaling")
    if not scaling:
        raise SystemExit("there is no results/scaling.json to start from; run: python -m benchmarks.scaling")
    checked = validation(scaling)
    for row in checked:
        label = " (oversubscribed)" if row["oversubscribed"] else ""
        print(
            f"{row['kind']:20} {row['workers']} workers{label:17} measured {row['measured']['median']:7.3f} "
            f"simulated {row['simulated']:7.3f} generations/s, ratio {row['ratio']:.3f}"
        )
    worst = max(abs(row["ratio"] - 1) for row in checked)
    print(f"largest difference {worst:.1%}; {'within' if worst <= TOLERANCE else 'NOT within'} {TOLERANCE:.0%}")
    results = {
        "assumptions": vars(options),
        "costs": asdict(Costs.of(scaling["costs"])),
        "validation": {"rows": checked, "largest difference": worst, "tolerance": TOLERANCE},
        "predictions": predictions(Costs.of(scaling["costs"]), scaling["chunks"], options),
    }
    record("simulate", results)
    save(FIGURE, results)


if __name__ == "__main__":
    main()
