"""Does it help to try the last gradient estimate again? Past_ES with its past, without and noise-aware, beside Open_ES.

    python -m benchmarks.past_directions [--seeds 3] [--generations 250]

The same schedule, optimizer, population, batches and seeds of training, so equal evaluations; what is compared is the
held-out loss at the end (failures in %, or steps), its mean over training seeds with Student's interval, and cos² of
successive estimates. Every run is written when it ends, and a benchmark of the same generations goes on where it stopped;
`--again` begins anew. The 30 runs take about 20 minutes on two cores.
"""

import argparse
from typing import Any

import numpy as np

from benchmarks.record import record, recorded

TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "colouring": (
        "configs/colouring/one_phase.yaml",
        {"driver.population": 128, "batch.instances": 64, "batch.seeds": 8},
    ),
    "treasure hunt": ("configs/treasure_hunt/three.yaml", {"driver.population": 128}),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "Open_ES, ranks": {"driver.kind": "Open_ES"},
    "Open_ES, losses as they are": {"driver.kind": "Open_ES", "driver.shaping": "identity"},
    "orthogonal, no past": {"driver.kind": "Past_ES"},
    "orthogonal, one past direction": {"driver.kind": "Past_ES"},
    "one past direction, noise-aware": {"driver.kind": "Past_ES", "driver.past": "noise_aware"},
}


def trained(config: str, overrides: dict[str, Any], forget: bool) -> dict[str, float]:
    """The held-out scores of one run's last weights, and seconds of training."""
    import time
    from pathlib import Path

    from es_randomized import Evolution, LocalEvaluator, load
    from es_randomized.evaluation.held_out import HeldOut

    evolution = Evolution.of(load(Path(config), overrides))
    evaluator, state = LocalEvaluator(evolution), evolution.init()
    cosines, began = [], time.perf_counter()
    for generation in range(evolution.experiment.budget.generations):
        before = state
        _, state = evolution.step(state, generation, evaluator)
        if "past" in state:
            cosines.append(_cos2(before["past"], state["past"]))
            state = state | {"past": 0 * state["past"]} if forget else state
    seconds = time.perf_counter() - began
    result = HeldOut(evolution.experiment)(evolution.centre(state)) | {"seconds": seconds}
    return result | ({"cos2 of successive estimates": float(np.mean(cosines[1:]))} if cosines and not forget else {})


def _cos2(one: Any, other: Any) -> float:
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return float((a @ b) ** 2 / max((a @ a) * (b @ b), 1e-300))


def summary(runs: list[dict[str, float]]) -> dict[str, list[float]]:
    """Mean and Student's 95 % interval over training seeds, of every score."""
    from es_randomized.evaluation.statistics import mean_estimate
    from es_randomized.tasks.measure import Bounds

    values = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    return {name: list(mean_estimate(numbers, 0.95, Bounds(0.0))) for name, numbers in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="training seeds, 2 or more for intervals")
    parser.add_argument("--generations", type=int, default=250)
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--again", action="store_true", help="forget what is written")
    arguments = parser.parse_args()
    from es_randomized import compilation

    compilation.configure()
    known = {} if arguments.again else recorded("past_directions")
    tasks: dict[str, Any] = known["tasks"] if known.get("generations") == arguments.generations else {}
    for seed in range(
        arguments.seeds
    ):  # all variants of a seed before the next one: what is there is always comparable
        for task in arguments.tasks:
            config, common = TASKS[task]
            for variant, changes in VARIANTS.items():
                entry = tasks.setdefault(task, {}).setdefault(variant, {"runs": []})
                if len(entry["runs"]) > seed:
                    continue
                overrides = common | changes | {"seed": seed, "budget.generations": arguments.generations}
                run = trained(config, overrides, forget=variant.endswith("no past"))
                entry["runs"].append(run)
                if seed:
                    entry["mean, low, high"] = summary(entry["runs"])
                record("past_directions", {"generations": arguments.generations, "tasks": tasks})
                shown = {name: round(value, 3) for name, value in run.items()}
                print(f"{task:14} seed {seed} {variant:32}", shown, flush=True)
    for task, variants in tasks.items():
        for variant, entry in variants.items():
            shown = {name: [round(x, 3) for x in numbers] for name, numbers in entry.get("mean, low, high", {}).items()}
            print(f"{task:14} {variant:32}", shown)


if __name__ == "__main__":
    main()
