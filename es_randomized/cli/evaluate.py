"""`evaluate`."""

from contextlib import ExitStack
from typing import Any

import click
from rich.console import Console

from es_randomized.cli.places import RUN_LOCATION, RunLocation, reading

SOURCES = ("seed", "none", "sampled", "dropout", "ensemble")


@click.command("evaluate")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN_LOCATION)
@click.option(
    "--randomness",
    type=click.Choice(SOURCES),
    help="What differs between repeated runs; by default the seed, or what the model was trained with.",
)
def evaluate_command(runs: tuple[RunLocation, ...], randomness: str | None) -> None:
    """Score the newest weights of RUN, a run folder, an address or a checkpoint, on every instance (or a large sample) with fresh
    seeds, and draw the picture.

    Writes evaluation.json, evaluation.parquet and picture.png into the run folder. May be used while the run trains.

    --randomness scores the same weights with randomness from elsewhere, into evaluation-<source>.json: none (one frozen
    seed), sampled (from the output distribution), dropout, or ensemble. Several RUNs are an ensemble of their weights;
    their experiments may differ in the seed alone, and the first folder keeps the result.
    """
    from es_randomized import compilation

    compilation.configure()
    source = randomness or ("ensemble" if len(runs) > 1 else None)
    with ExitStack() as stack:
        folders = [stack.enter_context(reading(run, results=number == 0)) for number, run in enumerate(runs)]
        evaluate_run(folders[0], Console(), source, folders[1:])


def evaluate_run(folder: Any, console: Console, randomness: Any = None, others: list[Any] | None = None) -> None:
    """Evaluate, write the files, print the table and where everything is."""
    from es_randomized.evaluation.of_runs import evaluate_runs, newest, write_score
    from es_randomized.report.table import score_table
    from es_randomized.runs.checkpoint import is_checkpoint

    run = newest(folder)
    console.print(f"evaluating {run.what} ...")
    score = evaluate_runs([run, *map(newest, others or [])], randomness)
    path = write_score(folder, run.experiment, score)
    own = path == folder.evaluation_file
    if own:
        _draw(folder, run, score)
    console.print(score_table(score))
    console.print(f"picture:    {folder.picture}" if own else f"evaluation: {path}", soft_wrap=True)
    console.print(f"folder:     {folder.name}", soft_wrap=True)
    console.print(f"report:     es-randomized report {folder.name}", soft_wrap=True)
    if not is_checkpoint(folder):
        console.print(f"resume:     es-randomized resume {folder.name}", soft_wrap=True)


def _draw(folder: Any, run: Any, score: Any) -> None:
    from es_randomized.report.picture import draw
    from es_randomized.runs.checkpoint import metrics_of
    from es_randomized.runs.storage import saying_what_failed

    with saying_what_failed(folder.picture):
        draw(folder.picture, run.experiment, metrics_of(folder), score, run.weights)
