"""`evaluate`."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
def evaluate_command(run: Path) -> None:
    """Score the newest weights of RUN on every instance (or a large sample) with fresh seeds, and draw the picture.

    Writes evaluation.json, evaluation.parquet and picture.png into the run folder. May be used while the run trains.
    """
    from es_randomized import compilation
    from es_randomized.runs.folder import RunFolder

    compilation.configure()
    evaluate_run(RunFolder(run), Console())


def evaluate_run(folder: Any, console: Console) -> None:
    """Evaluate, write the files, print the table and where everything is."""
    from es_randomized.drivers.kinds import driver_of
    from es_randomized.evaluation.evaluate import evaluate
    from es_randomized.report.picture import draw
    from es_randomized.report.table import score_table
    from es_randomized.runs.metrics import read_metrics
    from es_randomized.runs.storage import saying_what_failed, write_atomically

    driver = driver_of(folder.experiment())
    generation, state = folder.restore(driver)
    console.print(f"evaluating the centre after {generation} generations ...")
    weights = driver.centre(state)
    score = evaluate(driver.experiment, weights)
    write_atomically(folder.evaluation_file, score.to_json().encode())
    write_atomically(folder.evaluation_table, score.to_parquet())
    with saying_what_failed(folder.picture):
        draw(folder.picture, driver.experiment, read_metrics(folder.metrics), score, weights)
    console.print(score_table(score))
    console.print(f"picture:    {folder.picture}", soft_wrap=True)
    console.print(f"run folder: {folder.path}", soft_wrap=True)
    console.print(f"resume:     es-randomized resume {folder.path}", soft_wrap=True)
