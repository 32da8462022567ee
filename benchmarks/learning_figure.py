"""How shipped runs learned, phase by phase: the picture of docs/randomness.md.

python -m benchmarks.learning_figure
"""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq

from es_randomized.config.kinds import kind_of
from es_randomized.config.yaml import load
from es_randomized.evaluation.certificate import minimax
from es_randomized.report.palette import FAINT, INK, PALETTE
from es_randomized.tasks.task import Reference

ROOT = Path(__file__).parents[1]
CURVES = {"average": ("held_out_average", PALETTE[0]), "worst input": ("held_out_worst", PALETTE[3])}
SHOWN = {
    "recall-20-gradient-0": "Recall of 20 values: right answers (%)",
    "treasure-5x5-gradient-0": "Treasure hunt on 5 × 5: steps (lower is better)",
}


def curve(axes: Any, checkpoint: Path, title: str) -> None:
    """Held-out checks of a run by generation, with a line where each of its phases begins."""
    experiment, rows = load(checkpoint / "experiment.yaml"), pq.read_table(checkpoint / "metrics.parquet").to_pydict()
    references = json.loads((checkpoint / "evaluation.json").read_text())["references"]
    measure = experiment.task.measure
    best = minimax([Reference(**reference) for reference in references], measure)
    for label, (column, colour) in CURVES.items():
        seen = [i for i, value in enumerate(rows[column]) if value is not None]
        values = measure.scale * np.array([rows[column][i] for i in seen])
        axes.plot(np.array(rows["generation"])[seen] + 1, values, color=colour, label=label)
    if best is not None and not measure.is_share:
        axes.axhline(measure.scale * best, color=INK, linestyle="--", linewidth=1, label="exact minimax")
    for phase in experiment.by_phase:
        axes.axvline(phase.first, color=FAINT, linewidth=1, linestyle=":")
        text = f" {kind_of(phase.objective).replace('_', '-')}"
        axes.text(phase.first, 1.01, text, color=INK, fontsize=9, transform=axes.get_xaxis_transform())
    axes.set_title(title, loc="left", fontsize=11, pad=18)
    axes.set_xlabel("generation")
    axes.legend(frameon=False)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "figures" / "randomness.png")
def main(out: Path) -> None:
    """Draw it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(11, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(1, len(SHOWN)), SHOWN.items(), strict=True):
        curve(axes, ROOT / "checkpoints" / name, title)
    figure.savefig(out)


if __name__ == "__main__":
    main()
