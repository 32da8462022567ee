"""What training reaches, one row for each result that is promised, from the experiment that anyone can repeat.

    python -m benchmarks.learning --only "recall N=20, gradient" --seeds 3
    python -m benchmarks.learning --runs runs/learning      # score runs that are trained already, train what is missing

Every run is an ordinary run folder, <row>-<seed>, which goes on where it stopped. Rows are trained in this process; their
seconds are of this machine, whatever else it does.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.record import record, recorded
from es_randomized import compilation, resume, train_run
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import load
from es_randomized.evaluation.stored import stored
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import generations_in
from es_randomized.runs.metrics import read_metrics

CONFIGS = Path(__file__).parents[1] / "configs"


class Row(NamedTuple):
    """A result.

    Attributes:
        config: file of the experiment.
        what: levels of the evaluation to show, as <part>.<level>; the part `single` is one run.
        floor, aim: of these levels, in percent or steps, in the same order.
    """

    config: str
    what: tuple[str, ...]
    floor: tuple[float, ...]
    aim: tuple[float, ...]


RECALL = ("single.p95", "majority.5.p95", "pooled.5.p95")
ROWS = {
    "hunt 3 x 3, evolution": Row("treasure_hunt/three_evolution.yaml", ("single.worst",), (8.1,), (8.0,)),
    "hunt 4 x 4, gradient": Row("treasure_hunt/four_gradient.yaml", ("single.worst",), (13.0,), (12.4,)),
    "hunt 4 x 4, evolution": Row("treasure_hunt/four.yaml", ("single.worst",), (15.9,), (13.5,)),
    "hunt 5 x 5, gradient": Row(
        "treasure_hunt/five_gradient.yaml", ("single.worst", "single.average"), (21, 18), (18.5, 17.5)
    ),
    "hunt 5 x 5, evolution": Row(
        "treasure_hunt/five_evolution.yaml", ("single.worst", "single.average"), (24, 19), (19.5, 18.5)
    ),
    "hunt 5 x 5, gradient, then evolution": Row("treasure_hunt/five_both.yaml", ("single.worst",), (20.5,), (18,)),
    "recall N=20, gradient": Row("recall/twenty.yaml", RECALL, (40, 60, 90), (60, 80, 97)),
    "recall N=20, evolution": Row("recall/twenty_evolution.yaml", ("single.p95",), (0.01,), (20,)),  # floor: above 0
    "recall N=8, evolution": Row("recall/eight.yaml", ("single.p95",), (25,), (43,)),
    "colouring, evolution": Row(
        "colouring/hardest.yaml", ("single.average", "single.p95", "single.worst"), (98.5, 95, 85), (99.5, 99, 95)
    ),
    "demo": Row("demo.yaml", ("single.p95",), (90,), (95,)),
}


def trained(experiment: Experiment, folder: Path, generations: int | None = None) -> RunFolder:
    """The run of an experiment, trained to its end and scored; what is there already is not trained again."""
    run = RunFolder(folder)
    fewer = {"budget.generations": generations, "budget.seconds": None} if generations else {}
    if not run.experiment_file.exists():
        train_run(experiment, folder, overrides=fewer, local=True)
    elif stored(run) is None:
        resume(folder, local=True)
    return run


def result_of(what: tuple[str, ...], run: RunFolder) -> dict[str, Any]:
    """What a run reached: these levels of its evaluation, and how long it took."""
    evaluation, metrics = stored(run), read_metrics(run.metrics).to_pylist()
    assert evaluation, f"{run.path} is not scored"
    scale = 100 if evaluation.summary["measure"]["unit"] == "%" else 1
    levels = {level: level_of(evaluation.summary, level) for level in what}
    return {
        "levels": {level: round(scale * found["value"], 2) for level, found in levels.items()},
        "generations": generations_in(run.journal_file),
        "rollouts": metrics[-1]["rollouts"],
        "seconds": round(metrics[-1]["seconds"], 1),
        "certificate": evaluation.summary.get("certificate"),
        "intervals": levels,
    }


def slug_of(name: str) -> str:
    """A row's name as the beginning of its folders' names."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def level_of(summary: dict[str, Any], what: str) -> dict[str, float]:
    """One level of one part of a stored evaluation."""
    part, _, level = what.rpartition(".")
    for name in [] if part == "single" else part.split("."):
        summary = summary[name]
    return dict(summary[level])


def line(name: str, row: Row, results: list[dict[str, Any]]) -> str:
    """A row for people: the median of all seeds, every seed, and what was promised."""
    texts = []
    for what, floor, aim in zip(row.what, row.floor, row.aim, strict=True):
        values = sorted(result["levels"][what] for result in results)
        every = ", ".join(f"{value:g}" for value in values)
        texts.append(f"{what} {values[len(values) // 2]:g} of {every} (floor {floor:g}, aim {aim:g})")
    return f"{name:24} {'; '.join(texts)}"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(ROWS)), help="Only these rows.")
@click.option("--seeds", default=3, help="Training seeds of each row.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/learning"), help="Where the runs are.")
@click.option("--generations", type=click.IntRange(1), help="Of every run, to try the path: not the promised results.")
def main(only: tuple[str, ...], seeds: int, runs: Path, generations: int | None) -> None:
    """Train and score every row, and write benchmarks/results/learning.json; rows that are not run keep what they had."""
    compilation.configure()
    rows = recorded("learning")
    for name in only or ROWS:
        row = ROWS[name]
        folders = [
            trained(load(CONFIGS / row.config, {"seed": seed}), runs / f"{slug_of(name)}-{seed}", generations)
            for seed in range(seeds)
        ]
        results = [result_of(row.what, folder) for folder in folders]
        rows[name] = {"config": row.config, "floor": row.floor, "aim": row.aim, "runs": results}
        print(line(name, row, results))
        record("learning", rows)


if __name__ == "__main__":
    main()
