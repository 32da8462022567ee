"""Which evolution strategy, objective, batch and model learn to colour: variants of one config at equal training time.

    python -m benchmarks.colouring --seconds 60 --seeds 2

Every variant trains from scratch with the local evaluator and is then scored on all 181,440 cycles. Schedules span the
generations a variant manages in the time, which a short run of it measures first.
"""

import time
from pathlib import Path
from typing import Any

import click

from benchmarks.record import record
from es_randomized import compilation, driver_of, evaluate, load, local_evaluator, train

CONFIG = Path(__file__).parents[1] / "configs" / "colouring" / "one_phase.yaml"
PILOT = 20  # generations that measure the speed
SCORING = {"evaluation.seeds": 200, "evaluation.votes": [30]}

LEARNING_RATE = "driver.optimizer.learning_rate"
VARIANTS: dict[str, dict[str, Any]] = {
    "demo": {},
    "q = 1 (mean)": {"objective.q": 1},
    "q = 10": {"objective.q": 10},
    "q from 4 to 10": {"objective.q": {"start": 4, "end": 10, "shape": "exponential"}},
    "worst of the batch": {"objective": {"kind": "worst_case"}},
    "32 instances": {"batch.instances": 32},
    "128 instances": {"batch.instances": 128},
    "4 seeds": {"batch.seeds": 4},
    "16 seeds": {"batch.seeds": 16},
    "population 128": {"driver.population": 128},
    "population 512": {"driver.population": 512},
    "width 16, hidden 64": {"model.width": 16, "model.hidden": 64},
    "width 8, hidden 16": {"model.width": 8, "model.hidden": 16},
    "three blocks": {"model.blocks": 3},
    "gelu": {"model.activation": "gelu"},
    "separate Q, K, V, O": {"model.key": 16},
    "bits as seed": {"task.noise": "bits", "task.noise_width": 2},
    "std constant": {"driver.std": 0.03},
    "std twice": {"driver.std": {"start": 0.06, "end": 0.02, "shape": "exponential"}},
    "PGPE, adam": {"driver.kind": "PGPE", "driver.std": 0.03},
    "SNES": {
        "driver.kind": "SNES",
        "driver.std": 0.03,
        "driver.optimizer": {"kind": "sgd", "learning_rate": 1.0, "momentum": 0.0},
    },
    "Sep_CMA_ES": {"driver.kind": "Sep_CMA_ES", "driver.std": 0.03},
}


def run(overrides: dict[str, Any], seconds: float, seed: int) -> dict[str, Any]:
    """Train one variant for about `seconds` and score it."""
    generations = max(PILOT, int(seconds / _seconds_per_generation(overrides)))
    driver = driver_of(load(CONFIG, overrides | SCORING | {"seed": seed, "budget.generations": generations}))
    state = driver.init()
    began = time.monotonic()
    for step in train(driver, local_evaluator(driver), state):
        state = step.state
    elapsed = time.monotonic() - began
    score = evaluate(driver.experiment, driver.centre(state))
    return {
        "seed": seed,
        "parameters": driver.parameters,
        "generations": generations,
        "rollouts": driver.cost().times(generations).rollouts,
        "seconds": round(elapsed, 1),
        "single": [estimate.value for estimate in score.single],
        "majority": {k: [estimate.value for estimate in rates] for k, rates in score.majority.items()},
        "twin": [estimate.value for estimate in score.twin],
    }


def _seconds_per_generation(overrides: dict[str, Any]) -> float:
    driver = driver_of(load(CONFIG, overrides))
    evaluator, state, began = local_evaluator(driver), driver.init(), 0.0
    for step in train(driver, evaluator, state):
        if step.generation == PILOT // 2:
            began = time.monotonic()
        if step.generation == PILOT + PILOT // 2:
            break
    return (time.monotonic() - began) / PILOT


@click.command()
@click.option("--seconds", default=60.0, help="Training time of each run.")
@click.option("--seeds", default=1, help="Training seeds of each variant.")
@click.option("--only", multiple=True, type=click.Choice(list(VARIANTS)), help="Run only these variants.")
def main(seconds: float, seeds: int, only: tuple[str, ...]) -> None:
    """Compare the variants and write benchmarks/results/colouring.json."""
    compilation.configure()
    results: dict[str, Any] = {"seconds": seconds, "variants": {}}
    for name in only or VARIANTS:
        runs = [run(VARIANTS[name], seconds, seed) for seed in range(seeds)]
        results["variants"][name] = {"overrides": VARIANTS[name], "runs": runs}
        for result in runs:
            average, p95, worst = (f"{100 * value:5.1f}" for value in result["single"])
            print(f"{name:24} {result['rollouts']:12,} rollouts  average {average}  95th {p95}  worst {worst}")
        record("colouring", results)


if __name__ == "__main__":
    main()
