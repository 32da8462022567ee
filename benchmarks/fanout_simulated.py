"""What the measured cost of a call means for more workers than fit here: simulated, with everybody on a core of their own.

    python -m benchmarks.fanout_simulated        (after benchmarks.fanout; some minutes)

The simulator is given one measured cost, what a call takes of the coordinator's own thread (`benchmarks/results/fanout.json`, 32
workers, flat), and the time a message takes. First it repeats the measured cases. There workers sleep, but the messages of all
share two cores, which is not simulated: it must not be slower than what was measured, and comes close where messages are few.
Then 1,024 and 10,000 workers, 256 members each a generation, on machines of 16 or 64 cores: flat, as a run would choose, and that
with the failures and preemptions of benchmarks.simulate.
"""

import argparse
from typing import Any

from benchmarks.fanout import MEMBERS, SHAPES, UNITS, nodes_of
from benchmarks.record import record, recorded
from es_randomized.distributed.shape import shape_of
from es_randomized.scaling.simulation.costs import NO_HAZARDS, Cluster, Costs, Hazards, Linear
from es_randomized.scaling.simulation.simulate import simulate

WORKERS = (1_024, 10_000)
SHARES = (0.3, 1.0)  # seconds of computing of every worker in a generation
MACHINES = (16, 64)  # cores
CHUNKS = 32  # of every worker in a generation, of 8 members each
LATENCY = 0.001  # seconds of a message there and back, with what a worker does to it
GENERATIONS = 2
HAZARDS = Hazards(failures_per_hour=0.001, preemptions_per_hour=0.05)  # of a machine
MANY = Hazards(
    failures_per_hour=0.1, preemptions_per_hour=5.0
)  # a hundred times as many, so that a run of minutes meets dozens
LONG, FEW_CHUNKS = 200, 8  # generations of a run among many failures, and chunks of a worker in each


def costs_of(call: float, seconds: float, members: int) -> Costs:
    """A call takes `call` seconds of whoever hands out, half of it for the answer; a chunk takes `seconds`."""
    return Costs(
        members, (seconds,), issue=call / 2, collect=call / 2, latency=LATENCY, message=40_000, here=Linear(0.0)
    )


def efficiency(
    costs: Costs, cluster: Cluster, chunks: int, hazards: Hazards = NO_HAZARDS, generations: int = GENERATIONS
) -> dict[str, Any]:
    """Computing over time, per worker; and who hands out."""
    result = simulate(costs, cluster, chunks * cluster.workers, generations, True, hazards)
    mean = sum(result.seconds) / len(result.seconds)
    return {"efficiency": chunks * costs.kernel * costs.members / mean, "coordinator busy": result.busy}


def measured_call(measured: dict[str, Any]) -> float:
    """Seconds that a call took of the coordinator's own thread, with as many workers as are nearest to 32."""
    rows = measured[min(measured, key=lambda count: abs(int(count) - 32))]["flat"]["rows"]
    return float(rows[len(rows) // 2]["milliseconds of its own thread per call"]) / 1e3


def repeated(measured: dict[str, Any], call: float) -> list[dict[str, Any]]:
    """The measured cases, simulated."""
    rows = []
    for text, found in measured.items():
        workers = int(text)
        for fanout in SHAPES:
            per_machine = -(-workers // nodes_of(workers))
            cluster = Cluster(workers, per_machine=per_machine, fanout=fanout)
            for row in found[fanout]["rows"] if fanout in found else []:
                seconds = row["seconds of a unit"]
                simulated = efficiency(costs_of(call, seconds, MEMBERS), cluster, UNITS)["efficiency"]
                case = {"workers": workers, "fanout": fanout, "seconds of a unit": seconds}
                rows.append(case | {"measured": row["efficiency"], "simulated": simulated})
    return rows


def predicted(call: float, workers: list[int]) -> list[dict[str, Any]]:
    """More workers than fit here."""
    rows = []
    for count in workers:
        for share in SHARES:
            cases = [("flat", 16, NO_HAZARDS), *((None, each, NO_HAZARDS) for each in MACHINES), (None, 16, HAZARDS)]
            for asked, each, hazards in cases:
                cluster = Cluster(count, per_machine=each, latency=0.0005, bandwidth=1.25e9, fanout=asked)
                found = efficiency(costs_of(call, share / CHUNKS, 8), cluster, CHUNKS, hazards)
                fanout = shape_of([each] * -(-count // each), count, asked).fanout
                case = {"workers": count, "seconds of a share": share, "fanout": fanout, "cores of a machine": each}
                rows.append(case | {"failures and preemptions": hazards is HAZARDS} | found)
                print(f"SIMULATED {rows[-1]}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    given = parser.parse_args()
    measured = recorded("fanout")["workers"]
    call = measured_call(measured)
    check = repeated(measured, call)
    for row in check:
        case = f"{row['workers']:4d} {row['fanout']} {row['seconds of a unit']} s"
        print(f"{case}: measured {row['measured']:.3f}, simulated {row['simulated']:.3f}")
    record(
        "fanout_simulated", {"seconds of a call": call, "repeated": check, "predicted": predicted(call, given.workers)}
    )


if __name__ == "__main__":
    main()
