"""What specialists buy: tasks with kinds of inputs, trained with them and with a rising q in their place, else alike.

    python -m benchmarks.specialists --only "recall N=20, gradient" --seeds 3

Runs with specialists that `benchmarks.learning` promises are taken from its results. Every other run is an ordinary run
folder, <row>-<with or without>-<seed>, which goes on where it stopped.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.learning import CONFIGS, result_of, slug_of, trained
from benchmarks.learning import ROWS as PROMISED
from benchmarks.record import record, recorded
from es_randomized import compilation
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import load
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.specialists import Specialists
from es_randomized.schedules import Schedule


class Compared(NamedTuple):
    """A task to compare on.

    Attributes:
        config: file of the experiment.
        level: of the evaluation, what is compared.
        keep: kinds per seed in a first phase of 30 %, for a config that has no specialists yet.
    """

    config: str
    level: str
    keep: int | None = None


ROWS = {
    "recall N=20, gradient": Compared("recall/twenty.yaml", "single.p95"),
    "recall N=8, evolution": Compared("recall/eight.yaml", "single.p95"),
    "hunt 4 x 4, specialists": Compared("treasure_hunt/four_specialists.yaml", "single.worst"),
    "Mastermind, evolution": Compared("mastermind/four.yaml", "single.worst"),
    "paging, evolution": Compared("paging/two.yaml", "single.worst", keep=8),
}


def with_specialists(row: Compared, seed: int) -> Experiment:
    """The experiment of a row; a config without specialists gets a first phase of them."""
    phases = [{"share": 0.3, "objective": {"kind": "specialists", "keep": row.keep}}, {"share": 0.7}]
    return load(CONFIGS / row.config, {"seed": seed} | ({"phases": phases} if row.keep else {}))


def without_specialists(experiment: Experiment) -> Experiment:
    """The same with a q that rises from 1, the mean, to where the next phase begins."""
    after = experiment.objective.q
    q = Schedule(start=1.0, end=after.start if isinstance(after, Schedule) else after, shape="exponential")
    phases = [
        replace(phase, objective=QNorm(q=q)) if isinstance(phase.objective, Specialists) else phase
        for phase in experiment.phases
    ]
    return replace(experiment, phases=phases)


def runs_of(name: str, row: Compared, seeds: int, folder: Path, generations: int | None) -> dict[str, list[Any]]:
    """The results of a row, by what it was trained with."""
    promised = name in PROMISED and not generations
    found: dict[str, list[Any]] = {"with": [], "without": []}
    for seed in range(seeds):
        told = with_specialists(row, seed)
        for label, experiment in {"with": told, "without": without_specialists(told)}.items():
            if label == "without" or not promised:
                run = trained(experiment, folder / f"{slug_of(name)}-{label}-{seed}", generations)
                found[label].append(result_of((row.level,), run))
    return found | ({"with": recorded("learning")[name]["runs"][:seeds]} if promised else {})


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(ROWS)), help="Only these rows.")
@click.option("--seeds", default=3, help="Training seeds of each row.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/specialists"), help="Where the runs are.")
@click.option("--generations", type=click.IntRange(1), help="Of every run, to try the path.")
def main(only: tuple[str, ...], seeds: int, runs: Path, generations: int | None) -> None:
    """Train, score and compare, and write benchmarks/results/specialists.json; rows that are not run keep what they had."""
    compilation.configure()
    rows = recorded("specialists")
    for name in only or ROWS:
        row = ROWS[name]
        found = runs_of(name, row, seeds, runs, generations)
        rows[name] = {"config": row.config, "level": row.level, **found}
        for label, results in found.items():
            print(f"{name:24} {label:8} {row.level} {[result['levels'][row.level] for result in results]}")
        record("specialists", rows)


if __name__ == "__main__":
    main()
