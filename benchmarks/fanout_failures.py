"""A long simulated run on machines that fail a hundred times as often as usual, under supervisors of machines and groups.

    python -m benchmarks.fanout_failures        (after benchmarks.fanout; some minutes)

So often that a run of minutes meets some twenty failures and preemptions. Efficiency is compared with the same run on machines
that never fail, and with the share of the machines that are there.
"""

import argparse

from benchmarks.fanout_simulated import costs_of, efficiency, measured_call
from benchmarks.record import record, recorded
from es_randomized.scaling.simulation.costs import Cluster, Hazards

HAZARDS = Hazards(failures_per_hour=0.1, preemptions_per_hour=5.0)  # of a machine
PER_MACHINE = 16  # workers
CHUNKS = 8  # of a worker in a generation, a second together
CALM = 4  # generations without failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1_024)
    parser.add_argument("--generations", type=int, default=200)
    given = parser.parse_args()
    cluster = Cluster(given.workers, per_machine=PER_MACHINE, latency=0.0005, bandwidth=1.25e9)
    costs = costs_of(measured_call(recorded("fanout")["workers"]), 1.0 / CHUNKS, 8)
    calm = efficiency(costs, cluster, CHUNKS, generations=CALM)["efficiency"]
    found = efficiency(costs, cluster, CHUNKS, HAZARDS, given.generations)["efficiency"]
    seconds = given.generations / found
    away = HAZARDS.absent * (1 - min(1.0, HAZARDS.replacement / 2 / seconds))  # at the beginning all machines are there
    results = {
        "workers": given.workers,
        "generations": given.generations,
        "efficiency": found,
        "efficiency without failures": calm,
        "machines away, expected": away,
        "of what the others could do": found / calm / (1 - away),
    }
    print(f"SIMULATED {results}")
    print("written:", record("fanout_failures", results))


if __name__ == "__main__":
    main()
