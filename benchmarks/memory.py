"""What a streamed generation needs: memory for a population far larger than the machine, and time beside evaluation alone.

    python -m benchmarks.memory            both, about a quarter of an hour on two cores
    python -m benchmarks.memory --case time
    python -m benchmarks.memory --population 16       only to see that it runs

Every case runs in a process of its own whose peak resident memory is read from the kernel when it ends. The population of
the first case would be a matrix of 78 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.record import record, recorded

CASES: dict[str, dict[str, Any]] = {
    "memory": {
        "driver.population": 16_384,
        "model.width": 256,
        "model.hidden": 1_024,
        "model.blocks": 2,
        "model.key": 64,
        "batch.instances": 1,
        "batch.seeds": 1,
    },
    "time": {
        "driver.population": 4_096,
        "model.width": 70,
        "model.hidden": 280,
        "model.blocks": 2,
        "model.key": None,
        "batch.instances": 25,
        "batch.seeds": 16,
    },
}


def measure(case: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Seconds and bytes of one generation, after a first one that compiles (the time case) or at once (the memory case)."""
    from pathlib import Path

    import jax
    import jax.numpy as jnp

    from es_randomized import Evolution, LocalEvaluator, compilation, load

    compilation.configure()
    overrides = CASES[case] | {"driver.kind": "Open_ES", "driver.std": 0.01, "budget.generations": 2} | changes
    evolution = Evolution.of(load(Path("configs/colouring/one_phase.yaml"), overrides))
    strategy, evaluator, state = evolution.strategy, LocalEvaluator(evolution), evolution.init()
    cases = evolution.experiment.batch.cases(evolution.experiment.task)
    result: dict[str, Any] = {
        "population": strategy.population,
        "parameters": strategy.parameters,
        "matrix_bytes": 4 * strategy.population * strategy.parameters,
        "tokens per member": cases * evolution.experiment.task.interface.nodes,
    }
    rounds = 1
    if case == "time":
        warm = strategy.ask(state, 0)
        evaluator.evaluate(warm)
        evaluator.parts_of(strategy.parts, warm, np.zeros(strategy.population, np.float32))
    ask = strategy.ask(state, 1)
    began = time.perf_counter()
    for _ in range(rounds):
        losses = evaluator.evaluate(ask)
    result["evaluation_seconds"] = (time.perf_counter() - began) / rounds
    began = time.perf_counter()
    jax.block_until_ready(evolution.tell(ask, losses, evaluator.parts_of))
    result["update_seconds"] = time.perf_counter() - began
    if case == "time":
        result |= _without_noise(evolution, ask, jnp)
        result["generation_over_evaluation_alone"] = (result["evaluation_seconds"] + result["update_seconds"]) / result[
            "evaluation_without_noise_seconds"
        ]
    if statistics := jax.local_devices()[0].memory_stats():  # of an accelerator
        result["device_peak_bytes"] = statistics["peak_bytes_in_use"]
    result["peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return result


def _without_noise(evolution: Any, ask: Any, jnp: Any) -> dict[str, float]:
    """The same evaluation with members that cost nothing to make: all of them the mean."""
    import jax

    from es_randomized.compilation import jit
    from es_randomized.fitness import Members

    def chunk(sample: Any, rows: Any, inputs: Any) -> Any:
        def weights(row: Any, sign: Any) -> Any:
            return evolution.fitness.unravel(sample["mean"] + 0.0 * row * sign)

        members = Members(lambda index: index.astype(jnp.float32), weights, evolution.strategy.antithetic_signs)
        return evolution.fitness(rows, members, inputs)

    program, number = jit(chunk), evolution.inputs(1)
    samples = [jax.device_put(ask.proposal, device) for device in jax.local_devices()]
    for sample in samples:
        program(sample, evolution.chunks[0], number).block_until_ready()
    began = time.perf_counter()
    results = [program(samples[i % len(samples)], rows, number) for i, rows in enumerate(evolution.chunks)]
    jax.block_until_ready(results)
    return {"evaluation_without_noise_seconds": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--population", type=int, help="another one for all cases")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    changes = {"driver.population": arguments.population} if arguments.population else {}
    if arguments.inside:
        print(json.dumps(measure(arguments.case, changes)))
        return
    results = recorded("memory") if arguments.case else {}  # a single case leaves the other as it is
    for case in [arguments.case] if arguments.case else CASES:
        command = [sys.executable, "-m", "benchmarks.memory", "--case", case, "--inside"]
        command += ["--population", str(arguments.population)] if arguments.population else []
        results[case] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(case, json.dumps(results[case], indent=1), flush=True)
    record("memory", results)


if __name__ == "__main__":
    main()
