"""Evolution beside gradient descent: one model and task by budgets of both, drawn by evaluations and by seconds.

    python -m benchmarks.drivers [--seeds 1]
    python -m benchmarks.drivers --draw      # the picture alone, from the results that are there

Every point is a run of its own, whose schedules end where it ends: runs/drivers/<driver>-<generations>-<seed>. An
evaluation is one instance with one seed; of a gradient step, forward and back, it counts once.
"""

from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.learning import CONFIGS, result_of, slug_of, trained
from benchmarks.record import record, recorded
from es_randomized import compilation
from es_randomized.config.yaml import load
from es_randomized.report.figures import blank
from es_randomized.report.palette import PALETTE

LEVELS = {"single.average": "average input", "single.p95": "worst 5 % of the inputs"}
FILES = {"evolution": "recall/eight.yaml", "gradient descent": "recall/eight_gradient.yaml"}
ACROSS = {"rollouts": "evaluations", "seconds": "seconds on one core"}
BUDGETS = {"evolution": (700, 2_000, 6_500, 20_000), "gradient descent": (2_000, 6_000, 20_000, 60_000, 180_000)}
PICTURE = Path(__file__).parents[1] / "docs" / "figures" / "drivers.png"


def points(driver: str, generations: int, seeds: int, folder: Path) -> dict[str, Any]:
    """All runs of a driver with one budget."""
    results = []
    for seed in range(seeds):
        experiment = load(CONFIGS / FILES[driver], {"seed": seed, "budget.generations": generations})
        run = trained(experiment, folder / f"{slug_of(driver)}-{generations}-{seed}")
        results.append(result_of(tuple(LEVELS), run))
        print(f"{driver:18} {generations:8,} {results[-1]['seconds']:8} s {results[-1]['levels']}")
    return {"driver": driver, "generations": generations, "runs": results}


def draw(found: list[dict[str, Any]], out: Path) -> None:
    """Success by evaluations, left, and by seconds, right."""
    figure = blank((11.0, 4.6))
    for axes, (budget, label) in zip(figure.subplots(1, 2, sharey=True), ACROSS.items(), strict=True):
        for colour, driver in zip(PALETTE, FILES, strict=False):
            _curves(axes, [point["runs"] for point in found if point["driver"] == driver], budget, driver, colour)
        axes.set_xscale("log")
        axes.set_xlabel(label)
    figure.axes[0].set_ylabel("success (%)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(out)


def _curves(axes: Any, points: list[list[dict[str, Any]]], budget: str, driver: str, colour: str) -> None:
    """The median of the training seeds at every point of a driver."""
    across = [median(run[budget] for run in runs) for runs in points]
    for line, (level, text) in zip(("-", "--"), LEVELS.items(), strict=True):
        up = [median(run["levels"][level] for run in runs) for runs in points]
        axes.plot(across, up, line, marker="o", color=colour, label=f"{driver}, {text}")


@click.command()
@click.option("--seeds", default=1, help="Training seeds of each point.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/drivers"), help="Where the runs are.")
@click.option("--draw", "only_draw", is_flag=True, help="Train nothing.")
@click.option("--out", type=click.Path(path_type=Path), default=PICTURE, help="The picture.")
def main(seeds: int, runs: Path, only_draw: bool, out: Path) -> None:
    """Train and score every point, write benchmarks/results/drivers.json, and draw it."""
    compilation.configure()
    if not only_draw:
        found = [
            points(driver, generations, seeds, runs) for driver, budgets in BUDGETS.items() for generations in budgets
        ]
        record("drivers", {"points": found})
    draw(recorded("drivers")["points"], out)


if __name__ == "__main__":
    main()
