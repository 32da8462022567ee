"""How much a mixture of specialists can guarantee: the best walk of every seed of a hunt, and the best shares of these walks.

    python -m benchmarks.specialist_walks

What a perfect policy would learn from `objective: {kind: specialists}`, by exact search, and what a q-norm could make of it
that only shifts shares between walks. Writes benchmarks/results/specialist_walks.json.
"""

from typing import Any, NamedTuple

import click
import numpy as np

from benchmarks.record import record
from es_randomized import rng
from es_randomized.input_kinds import Draws
from es_randomized.objectives.specialists import Directions, Specialists
from es_randomized.references import games
from es_randomized.references.treasure_hunt import Hunt, best_walk, losses
from es_randomized.tasks.treasure_hunt import TreasureHunt

REST = 0.1


class Division(NamedTuple):
    """How seeds are divided among specialists: see the objective; `numbers` of a seed."""

    directions: Directions
    numbers: int


HUNTS = {"3 x 3": (3, 3, 10), "4 x 4": (4, 4, 18)}  # rows, columns, steps
DIVISIONS = [Division("features", 2), *(Division("random", numbers) for numbers in (2, 3, 4, 8))]
KEEPS = (3, 4, 5, 6)


def walks_of(hunt: Hunt, keep: int, division: Division, seeds: int, run: int) -> set[str]:
    """The best walk of every seed for its specialist's weights, in the run with this seed of its own."""
    task = TreasureHunt(rows=hunt.rows, columns=hunt.columns, steps=hunt.steps, noise_width=division.numbers)
    numbers = task.kinds.numbers(task.seeds(rng.address(run, rng.Purpose.SEEDS), seeds))
    drawn = Draws(task.kinds, task.kinds.of(task.enumerate()), numbers, rng.address(run, rng.Purpose.SPECIALISTS))
    weights = np.asarray(Specialists(keep=keep, rest=REST, directions=division.directions).weights(drawn))
    whole = np.rint(weights / weights.min(axis=0)).astype(int)  # exact search wants integers
    return {best_walk(hunt, each)[1] for each in np.unique(whole, axis=1).T}


def row(hunt: Hunt, keep: int, division: Division, seeds: int, runs: int) -> dict[str, Any]:
    """How many walks there are, and the worst treasure of their best mixture, by run."""
    tables = [
        np.unique([losses(hunt, walk) for walk in walks_of(hunt, keep, division, seeds, run)], axis=0)
        for run in range(runs)
    ]
    return {
        "keep": keep,
        **division._asdict(),
        "walks": [len(table) for table in tables],
        "worst": [round(games.solve(table).value, 3) for table in tables],
    }


@click.command()
@click.option("--seeds", default=150, help="Of every run.")
@click.option("--runs", default=3, help="With directions of their own.")
def main(seeds: int, runs: int) -> None:
    """Search, solve, print and record."""
    results: dict[str, Any] = {}
    for name, sizes in HUNTS.items():
        hunt = Hunt(*sizes)
        rows = [row(hunt, keep, division, seeds, runs) for division in DIVISIONS for keep in KEEPS]
        results[name] = {"seeds": seeds, "rest": REST, "rows": rows}
        for each in rows:
            print(name, *(f"{key} {value}" for key, value in each.items()))
    record("specialist_walks", results)


if __name__ == "__main__":
    main()
