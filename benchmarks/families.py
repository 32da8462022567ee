"""What the families of models show: small studies, three training seeds each, whose pictures are in docs/families.md.

    python -m benchmarks.families [--only turns] [--seeds 3]
    python -m benchmarks.families --draw      # the pictures alone, from the results that are there

Everything is trained in this process, an hour of one core altogether. Rows are written as they come, and those that are
there already are not trained again; `--again` does.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import jax.numpy as jnp

from benchmarks.record import record, recorded
from es_randomized import compilation
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import build
from es_randomized.doctor.measure import measure
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.local_evaluator import local_evaluator
from es_randomized.evaluation.evaluate import Score, evaluate, runner_of
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.runs.checkpoint import metrics_of
from es_randomized.runs.folder import RunFolder
from es_randomized.service import train_run
from es_randomized.train import train

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
Tree = dict[str, Any]

DESCENT: Tree = {"kind": "adam", "momentum": 0.9, "second_moment": 0.95, "epsilon": 1.0e-5, "clip_norm": 1.0}


def descent(start: float, end: float) -> Tree:
    """Adam with a learning rate that falls exponentially."""
    return {
        "kind": "gradient",
        "optimizer": DESCENT | {"learning_rate": {"start": start, "end": end, "shape": "exponential"}, "warmup": 100},
    }


# Colouring by the number of turns

CYCLES = (12, 36)  # vertices; trained on the first
TURNS = (1, 2, 3, 4, 6, 8)  # at evaluation
LOOPS: dict[str, Tree] = {
    "2 turns": {"loops": 2},
    "4 turns": {"loops": 4},
    "4 turns, mean of the last 3": {"loops": 4, "last": 3},
}


def colouring(name: str, seed: int) -> Experiment:
    """Anonymous vertices with four numbers each, so that the same weights colour any cycle."""
    block = {"kind": "transformer", "width": 16, "blocks": 1, "hidden": 32}
    return build(
        {
            "task": {"kind": "cycle_colouring", "n": CYCLES[0], "identifiers": False, "noise_width": 4},
            "model": {"kind": "looped", "block": block} | LOOPS[name],
            "objective": {"kind": "expected"},
            "batch": {"instances": 2, "seeds": 64},
            "driver": descent(0.01, 0.0005),
            "budget": {"generations": 1500},
            "evaluation": {"seeds": 200, "votes": [], "instances": 32},
            "plan": {"tile": 128},
            "seed": seed,
        }
    )


def turns_of(name: str, seed: int) -> Tree:
    """Success with other numbers of turns, on cycles it never saw."""
    experiment = colouring(name, seed)
    *_, weights = trained(name, experiment)
    found: Tree = {}
    for n in CYCLES:
        task = replace(experiment.task, n=n)
        for loops in TURNS:
            model = replace(experiment.model, loops=loops, last=1)
            score = scored(replace(experiment, task=task, model=model), weights)
            found.setdefault(str(n), {})[str(loops)] = score.single.average.value
    return found


# Fewer parameters, better evolution: one block four times against four blocks

ONE_BLOCK: Tree = {"kind": "transformer", "width": 16, "blocks": 1, "hidden": 32}
SHARING: dict[str, Tree] = {
    "one block, 4 turns": {"kind": "looped", "loops": 4, "block": ONE_BLOCK},
    "4 blocks": ONE_BLOCK | {"blocks": 4},
}


def evolved(name: str, seed: int) -> Experiment:
    """The same colouring by evolution, at equal evaluations."""
    return build(
        {
            "task": {"kind": "cycle_colouring", "n": CYCLES[0], "identifiers": False, "noise_width": 4},
            "model": SHARING[name],
            "objective": {"kind": "expected"},
            "batch": {"instances": 2, "seeds": 32},
            "driver": {
                "kind": "Open_ES",
                "population": 256,
                "std": {"start": 0.05, "end": 0.02, "shape": "exponential"},
                "optimizer": {
                    "kind": "adam",
                    "learning_rate": {"start": 0.01, "end": 0.002, "shape": "exponential"},
                },
            },
            "budget": {"generations": 400},
            "evaluation": {"seeds": 200, "votes": [], "instances": 32},
            "seed": seed,
        }
    )


def sharing_of(name: str, seed: int) -> Tree:
    """Held-out success as evolution goes on, and how well two halves of a population agree about the update."""
    with tempfile.TemporaryDirectory() as folder:
        result = train_run(evolved(name, seed), Path(folder) / "run", local=True, evaluate=False)
        if result.reason == "interrupted":
            raise KeyboardInterrupt
        run = RunFolder(Path(folder) / "run")
        checks = [row for row in metrics_of(run).to_pylist() if row["held_out_average"] is not None]
        found = measure(run)
    assert found.agreement is not None
    return {
        "curve": [[row["generation"] + 1, row["held_out_average"]] for row in checks],
        "parameters": found.parameters,
        "cosine": found.agreement.cosine,
        "error": found.agreement.error,
        "expected cosine": found.agreement.expected,
    }


# Recall beyond capacity, by the memory

MEMORIES: dict[str, Tree] = {
    "linear": {"kind": "linear_attention", "key": 4},
    "delta": {"kind": "delta", "key": 4},
    "gated linear": {"kind": "gated_linear", "key": 4},
    "recurrent delta": {"kind": "recurrent_delta", "key": 4},
    "gated RNN": {"kind": "gated_rnn", "units": 16},
    "softmax, window": {"kind": "transformer", "key": 4, "window": 1},
}


def recall(name: str, seed: int) -> Experiment:
    """Eight values of two bits for some sixteen numbers of memory; half of the time every seed is told four keys."""
    common = {"width": 24, "blocks": 1, "hidden": 32, "stem": 32, "activation": "gelu"}
    return build(
        {
            "task": {"kind": "associative_recall", "n": 8, "bits": 2, "noise": "signs", "noise_width": 8},
            "model": common | MEMORIES[name],
            "objective": {"kind": "q_norm", "q": {"start": 8, "end": 32, "shape": "exponential"}},
            "batch": {"instances": 64, "seeds": 24},
            "driver": descent(0.00085, 0.0003),
            "phases": [
                {
                    "share": 0.6,
                    "objective": {"kind": "specialists", "keep": 4},
                    "driver": {"optimizer": {"learning_rate": {"start": 0.004, "end": 0.00085}, "warmup": 100}},
                },
                {"share": 0.4},
            ],
            "budget": {"generations": 2000},
            "evaluation": {"seeds": 120, "votes": [5, 30], "instances": 1024},
            "plan": {"tile": 96},
            "seed": seed,
        }
    )


def memory_of(name: str, seed: int) -> Tree:
    """Success under fresh seeds, one frozen seed and votes, and how many numbers are remembered."""
    experiment = recall(name, seed)
    *_, weights = trained(name, experiment)
    score = scored(experiment, weights)
    ways = {"fresh": score.single, "frozen": score.twin}
    for votes, kind in ((score.majority, "majority"), (score.pooled, "pooled")):
        ways |= {f"{kind} of {k}": levels for k, levels in votes.items()}
    found = {way: [level.value for level in levels] for way, levels in ways.items() if levels}
    return found | {"memory": experiment.model.memory(experiment.task.interface)}


# A learned mixture of policies against a seed in the input

BASE: Tree = {"width": 16, "blocks": 2, "key": 8, "hidden": 32, "attention": "linear"}
HUNTERS: dict[str, Tree] = {
    "seed in the input": BASE,
    "mixture of 3 policies": {"kind": "hypernetwork", "policies": 3, "base": BASE},
}
EVERY = 40  # generations between looks


def hunt(name: str, seed: int) -> Experiment:
    """The 3 × 3 hunt of configs/treasure_hunt/three.yaml with half of its population."""
    return build(
        {
            "task": {"kind": "treasure_hunt", "rows": 3, "columns": 3, "steps": 10},
            "model": HUNTERS[name],
            "objective": {"kind": "q_norm", "q": 8},
            "batch": {"instances": "all", "seeds": 16},
            "driver": {
                "kind": "Open_ES",
                "population": 128,
                "std": {"start": 0.1, "end": 0.03, "shape": "exponential"},
                "optimizer": {"kind": "adam", "learning_rate": {"start": 0.03, "end": 0.002, "shape": "cosine"}},
            },
            "budget": {"generations": 600},
            "evaluation": {"seeds": 1000, "votes": []},
            "seed": seed,
        }
    )


def hunt_of(name: str, seed: int) -> Tree:
    """The worst treasure as training goes on, at its end, and of a mixture the best it could be."""
    experiment = hunt(name, seed)
    check, curve, weights = HeldOut(experiment), [], None
    for number, weights in enumerate(trained(name, experiment), 1):
        if number % EVERY == 0:
            curve.append([number, check(weights)["held_out_worst"]])
    assert weights is not None
    score = scored(experiment, weights)
    found = {"curve": curve, "average": score.single.average.value, "worst": score.single.worst.value}
    return found | ({"mixture": score.mixture._asdict()} if score.mixture else {})


DRIVERS: dict[str, Driver] = {}  # of rows, whose compiled programs all their seeds share
RUNNERS: dict[Any, Any] = {}  # of tasks and models, likewise


def trained(name: str, experiment: Experiment) -> Iterator[Any]:
    """Weights after every generation."""
    driver = DRIVERS[name] = driver_of(experiment, DRIVERS.get(name))
    for step in train(driver, local_evaluator(driver), driver.init()):
        yield driver.centre(step.state)


def scored(experiment: Experiment, weights: Any) -> Score:
    """Their score, by a program that all seeds share."""
    task, model = experiment.task, experiment.model
    runner = RUNNERS.setdefault(repr((task, model)), runner_of(experiment)(task, model))
    return evaluate(experiment, jnp.asarray(weights), runner=runner)


STUDIES = {
    "turns": (LOOPS, turns_of),
    "sharing": (SHARING, sharing_of),
    "memory": (MEMORIES, memory_of),
    "hunt": (HUNTERS, hunt_of),
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(STUDIES)), help="Only these studies.")
@click.option("--seeds", default=3, help="Training seeds of each row.")
@click.option("--again", is_flag=True, help="Train rows that have results already.")
@click.option("--draw", "only_draw", is_flag=True, help="Draw the pictures alone.")
def main(only: tuple[str, ...], seeds: int, again: bool, only_draw: bool) -> None:
    """Train and score every row, write benchmarks/results/families.json and draw the pictures."""
    from benchmarks.families_figure import draw

    compilation.configure()
    rows = recorded("families")
    for study in () if only_draw else only or STUDIES:
        names, result_of = STUDIES[study]
        for seed in range(seeds):
            for name in names:
                of_study = rows.setdefault(study, {}).setdefault(name, {})
                if str(seed) in of_study and not again:
                    continue
                began = time.perf_counter()
                of_study[str(seed)] = result_of(name, seed) | {"seconds": round(time.perf_counter() - began, 1)}
                print(study, name, seed, of_study[str(seed)], flush=True)
                record("families", rows)
    draw(rows, FIGURES)


if __name__ == "__main__":
    main()
