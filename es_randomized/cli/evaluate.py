"""`evaluate`."""

from pathlib import Path
from typing import get_args

import click

from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.cli.progress import Progress
from es_randomized.evaluation.randomness import Randomness
from es_randomized.service import evaluate


@click.command("evaluate")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=LOCATION)
@click.option(
    "--randomness",
    type=click.Choice(get_args(Randomness)),
    help="What differs between repeated runs; by default the seed, or what the model was trained with.",
)
def evaluate_command(runs: tuple[Path | str, ...], randomness: Randomness | None) -> None:
    """Score the newest weights of RUN, a run folder, an address or a checkpoint, on every instance (or a large sample) with fresh
    seeds, and draw the picture.

    Writes evaluation.json, evaluation.parquet and picture.png into the run folder. May be used while the run trains.

    --randomness scores the same weights with randomness from elsewhere, into evaluation-<source>.json: none (one frozen
    seed), sampled (from the output distribution), dropout, or ensemble. Several RUNs are an ensemble of their weights;
    their experiments may differ in the seed alone, and the first folder keeps the result.
    """
    evaluate(*runs, randomness=randomness, listener=Progress(console_of()))
