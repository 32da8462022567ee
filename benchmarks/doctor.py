"""Whether `doctor` names the fault of runs whose fault is known, healthy ones among them.

    python -m benchmarks.doctor

Twelve short runs of three tasks, one fault each; its thresholds were set on runs with other seeds. A healthy run passes if
nothing is found, or only that it still learns.
"""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.record import record
from es_randomized import RunFolder, compilation, load, local_evaluator
from es_randomized.config.yaml import write_yaml
from es_randomized.doctor.finding import Finding
from es_randomized.doctor.findings import findings
from es_randomized.doctor.measure import measure
from es_randomized.drivers.kinds import driver_of
from es_randomized.session import TrainingSession

RATE = "driver.optimizer.learning_rate"


def _evolution(std: float, rate: Any) -> dict[str, Any]:
    return {"kind": "Open_ES", "population": 128, "std": std, "optimizer": {"kind": "adam", "learning_rate": rate}}


BASES: dict[str, dict[str, Any]] = {
    "recall": {
        "task": {"kind": "associative_recall", "n": 8, "bits": 2, "noise": "bits", "noise_width": 4},
        "model": {"width": 16, "blocks": 1, "key": 3, "hidden": 8, "stem": 32, "attention": "linear"},
        "objective": {"kind": "q_norm", "q": 1},
        "batch": {"instances": 16, "seeds": 8},
        "driver": _evolution(0.03, 0.004),
        "budget": {"generations": 500},
    },
    "colouring": {
        "task": {"kind": "cycle_colouring", "n": 7, "colours": 3},
        "model": {"width": 8, "blocks": 2, "hidden": 16},
        "objective": {"kind": "q_norm", "q": 4},
        "batch": {"instances": 16, "seeds": 8},
        "driver": _evolution(0.01, {"start": 0.015, "end": 0.002}),
        "budget": {"generations": 300},
    },
    "hunt": {
        "task": {"kind": "treasure_hunt", "rows": 3, "columns": 3, "steps": 10},
        "model": {"width": 12, "blocks": 1, "key": 4, "hidden": 16, "attention": "linear"},
        "objective": {"kind": "q_norm", "q": 4},
        "batch": {"instances": "all", "seeds": 8},
        "driver": _evolution(0.1, {"start": 0.03, "end": 0.003}),
        "budget": {"generations": 250},
    },
}
GRADIENT = {"kind": "gradient", "optimizer": {"kind": "adam", "learning_rate": 0.3}}


class Case(NamedTuple):
    """A run and what is wrong with it.

    Attributes:
        base: one of BASES.
        overrides: of its settings.
        right: names of findings that name the fault; none for a healthy run.
    """

    base: str
    overrides: dict[str, Any]
    right: tuple[str, ...]


CASES: dict[str, Case] = {
    "recall, std 0.1 and Adam 0.006": Case("recall", {"driver.std": 0.1, RATE: 0.006}, ("std too large",)),
    "recall, Adam 0.1": Case("recall", {RATE: 0.1}, ("learning rate too large",)),
    "recall, population 6": Case("recall", {"driver.population": 6}, ("population too small",)),
    "recall, healthy": Case("recall", {}, ()),
    "recall, gradient, Adam 0.3": Case(
        "recall", {"driver": GRADIENT, "batch.instances": 64, "budget.generations": 1000}, ("learning rate too large",)
    ),
    "colouring, one cycle and one seed": Case(
        "colouring",
        {"batch.instances": 1, "batch.seeds": 1, "driver.population": 256},
        ("batch too small", "seeds too few"),
    ),
    "colouring, std 0.3": Case("colouring", {"driver.std": 0.3}, ("std too large",)),
    "colouring, Adam 0.0002": Case("colouring", {RATE: 0.0002}, ("learning rate too small",)),
    "colouring, healthy": Case("colouring", {}, ()),
    "hunt, Adam 0.5": Case("hunt", {RATE: 0.5}, ("learning rate too large",)),
    "hunt, std 0.002": Case("hunt", {"driver.std": 0.002}, ("std too small",)),
    "hunt, q from the start": Case("hunt", {}, ("seed ignored",)),
}


def examine(case: Case, seed: int, place: Path) -> tuple[list[Finding], dict[str, Any]]:
    """Train a case and look at its run."""
    config = place / "case.yaml"
    config.write_text(write_yaml(BASES[case.base]))
    driver = driver_of(load(config, case.overrides | {"seed": seed}))
    folder = RunFolder(place / "run")
    folder.create(driver.experiment)
    began = time.process_time()
    with TrainingSession(folder, driver, local_evaluator(driver)) as session:
        rows = list(session.rows())
    trained = time.process_time()
    found = findings(measure(folder))
    seconds = {"training": trained - began, "doctor": time.process_time() - trained}
    checks = [row["held_out_average"] for row in rows if row.get("held_out_average") is not None]
    return found, {"cpu_seconds": {name: round(value, 1) for name, value in seconds.items()}, "held_out": checks[-1]}


def passes(case: Case, found: list[Finding]) -> bool:
    """Whether the first finding names the fault, or nothing is said of a healthy run."""
    first = found[0].name if found else ""
    return first in case.right if case.right else first in ("", "still learning")


@click.command()
@click.option("--seed", default=0, help="Of every run.")
@click.option("--only", multiple=True, type=click.Choice(list(CASES)), help="Run only these.")
def main(seed: int, only: tuple[str, ...]) -> None:
    """Examine all cases and write benchmarks/results/doctor.json."""
    compilation.configure()
    results: dict[str, Any] = {"seed": seed, "cases": {}}
    for name in only or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as place:
            found, numbers = examine(case, seed, Path(place))
        named = passes(case, found)
        entry = {"base": case.base, "overrides": case.overrides, "right": case.right, "named_first": named}
        results["cases"][name] = entry | numbers | {"findings": [asdict(each) for each in found]}
        said = ", ".join(f"{each.name} {each.weight:.2f}" for each in found) or "nothing"
        print(f"{'right' if named else 'WRONG'}  {name:36} {said}", flush=True)
        results["named_first"] = (
            f"{sum(each['named_first'] for each in results['cases'].values())} of {len(results['cases'])}"
        )
        if not only:
            record("doctor", results)


if __name__ == "__main__":
    main()
