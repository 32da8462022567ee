"""What a run adds to its steps: journal, metrics, held-out checks and snapshots beside ask, evaluate and tell alone.

    python -m benchmarks.run_overhead

In this process, on one device; steps alone and a whole run in turns, so that a busy machine slows both. About a hundred
held-out checks a run are part of it, so runs of more generations pay less for one. Beside it, what it takes to count the cost of
a generation, which runs did after every one until 30 November 2026.
"""

import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.learning import CONFIGS
from benchmarks.record import record
from es_randomized import compilation, driver_of, load, local_evaluator, train, train_run
from es_randomized.config.experiment import Experiment
from es_randomized.drivers.phased import Phased
from es_randomized.runs.metrics import read_metrics

FILES = ("recall/eight_gradient.yaml", "recall/eight.yaml", "colouring/hardest.yaml")


def alone(experiment: Experiment) -> float:
    """Milliseconds of a step after the first tenth of them."""
    driver = driver_of(experiment)
    steps = train(driver, local_evaluator(driver), driver.init())
    first = experiment.budget.generations // 10
    list(itertools.islice(steps, first))
    began = time.perf_counter()
    left = sum(1 for _ in steps)
    return 1e3 * (time.perf_counter() - began) / left


def whole(experiment: Experiment) -> float:
    """Milliseconds of a generation of a run after the first tenth of them."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_run(experiment, Path(folder) / "run", local=True, evaluate=False).folder
        rows = read_metrics(run.metrics).to_pylist()
    first, last = rows[len(rows) // 10], rows[-1]
    return 1e3 * (last["seconds"] - first["seconds"]) / (last["generation"] - first["generation"])


def counting(experiment: Experiment) -> float:
    """Milliseconds of counting what a generation costs, of all phases."""
    driver = driver_of(experiment)
    began = time.perf_counter()
    for part in driver.drivers if isinstance(driver, Phased) else [driver]:
        part.cost()
    return 1e3 * (time.perf_counter() - began)


@click.command()
@click.option("--generations", default=400, help="Of every run.")
@click.option("--pairs", default=3, help="Runs of both kinds.")
def main(generations: int, pairs: int) -> None:
    """Measure all, and write benchmarks/results/run_overhead.json."""
    compilation.configure()
    results: dict[str, Any] = {}
    for file in FILES:
        experiment = load(CONFIGS / file, {"budget.generations": generations})
        found = [(alone(experiment), whole(experiment)) for _ in range(pairs)]
        over = [run - steps for steps, run in found]
        results[file] = {
            "steps alone": statistics.median(steps for steps, _ in found),
            "run": statistics.median(run for _, run in found),
            "over": statistics.median(over),
            "every over": over,
            "counting the cost": counting(experiment),
        }
        print(f"{file:30} {results[file]}")
    record("run_overhead", {"generations": generations, "milliseconds per generation": results})


if __name__ == "__main__":
    main()
