"""Does it help to try the last gradient estimate again? Past_ES with and without its past, beside Open_ES, at equal evaluations.

    python -m benchmarks.past_directions [--seeds 3] [--generations 150]

The same schedule, optimizer, population, batches and seeds of training; what is compared is the held-out loss at the end
(failures in %, or steps), its mean over training seeds with Student's interval, and cos² of successive estimates.
"""

import argparse
from typing import Any

import numpy as np

from benchmarks.record import record

TASKS = {
    "colouring": ("configs/demo.yaml", {"driver.population": 128, "batch.instances": 64, "batch.seeds": 8}),
    "treasure hunt": ("configs/treasure_hunt/three.yaml", {"driver.population": 128}),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "Open_ES, ranks": {"driver.kind": "Open_ES"},
    "Open_ES, losses as they are": {"driver.kind": "Open_ES", "driver.shaping": "identity"},
    "orthogonal, no past": {"driver.kind": "Past_ES"},
    "orthogonal, one past direction": {"driver.kind": "Past_ES"},
}


def trained(config: str, overrides: dict[str, Any], forget: bool) -> dict[str, float]:
    """The held-out scores of one run's last weights."""
    from pathlib import Path

    import jax.numpy as jnp

    from es_randomized import Evolution, LocalEvaluator, load
    from es_randomized.evaluation.held_out import HeldOut

    evolution = Evolution.of(load(Path(config), overrides))
    evaluator, state = LocalEvaluator(evolution), evolution.init()
    cosines = []
    for generation in range(evolution.experiment.budget.generations):
        before = state
        _, state = evolution.step(state, generation, evaluator)
        if "past" in state:
            if generation:
                cosines.append(float(jnp.vdot(before["past"], state["past"]) ** 2))
            state = state | {"past": jnp.zeros_like(state["past"])} if forget else state
    found = HeldOut(evolution.experiment)(evolution.centre(state))
    return found | ({"cos2 of successive estimates": float(np.mean(cosines))} if cosines and not forget else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=150)
    arguments = parser.parse_args()
    from es_randomized import compilation
    from es_randomized.evaluation.statistics import mean_estimate

    compilation.configure()
    results: dict[str, Any] = {}
    for task, (config, common) in TASKS.items():
        for variant, changes in VARIANTS.items():
            runs = []
            for seed in range(arguments.seeds):
                overrides = common | changes | {"seed": seed, "budget.generations": arguments.generations}
                runs.append(trained(config, overrides, forget=variant.endswith("no past")))
            summary = {
                name: list(mean_estimate(np.array([run[name] for run in runs]), 0.95, 0.0, np.inf)) for name in runs[0]
            }
            results.setdefault(task, {})[variant] = {"mean, low, high": summary, "runs": runs}
            print(f"{task:14} {variant:32}", {k: [round(x, 3) for x in v] for k, v in summary.items()}, flush=True)
    record("past_directions", vars(arguments) | {"tasks": results})


if __name__ == "__main__":
    main()
