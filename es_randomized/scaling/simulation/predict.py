"""Rows of a table: what runs with so many workers would do, beside one worker."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from es_randomized.scaling.simulation.costs import NO_HAZARDS, Cluster, Costs, Hazards, Prices
from es_randomized.scaling.simulation.simulate import SimulationResult, simulate

CALLS = 20_000  # to simulate for a row, about; a second or two
GENERATIONS = (1, 100)  # at least and at most

Prediction = dict[str, int | float]  # a row, by its column's name


def predict(
    costs: Costs,
    workers: Iterable[int],
    chunks_of: Callable[[int], int],
    here: bool,
    cluster: Cluster,
    hazards: Hazards = NO_HAZARDS,
    prices: Prices | None = None,
    calls: int = CALLS,
    seed: int = 0,
) -> list[Prediction]:
    """One row for every number of workers.

    Args:
        chunks_of: chunks of a generation with so many workers.
        here: the coordinator computes updates.
        cluster: what is assumed of machines and network; its number of workers is replaced.
        prices: adds dollars for 1e9 evaluations of a member.
        calls: to simulate for a row, about.
    """

    def run(count: int, hazards: Hazards) -> SimulationResult:
        chunks = chunks_of(count)
        least, most = GENERATIONS
        generations = max(least, min(most, calls // chunks))
        return simulate(costs, replace(cluster, workers=count), chunks, generations, here, hazards, seed)

    alone = run(1, NO_HAZARDS).members_per_second
    rows = []
    for count in workers:
        result = run(count, hazards)
        rate, generations = result.members_per_second, len(result.seconds)
        row: Prediction = {
            "workers": count,
            "population": result.members,
            "members per second": rate,
            "generations per second": result.generations_per_second,
            "efficiency": rate / alone / count,
            "coordinator busy": result.busy,
            "workers idle": result.idle,
            "calls per generation": result.calls / generations,
            "bytes per generation": (result.down + result.up) / generations,
            "chunks issued again": result.reissued / generations,
            "chunks lost": result.lost / generations,
        }
        rows.append(row | ({"dollars per 1e9 evaluations": prices.of(count, rate)} if prices else {}))
    return rows
