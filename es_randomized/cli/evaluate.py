"""`evaluate`."""

from pathlib import Path
from typing import get_args

import click

from es_randomized.cli.console import console_of
from es_randomized.cli.location import LOCATION
from es_randomized.cli.overrides import parse_overrides
from es_randomized.cli.progress import Progress
from es_randomized.evaluation.randomness import Randomness
from es_randomized.service import evaluate


@click.command("evaluate", context_settings={"ignore_unknown_options": True})
@click.argument("given", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--randomness",
    type=click.Choice(get_args(Randomness)),
    help="What differs between repeated runs; by default the seed, or what the model was trained with.",
)
@click.pass_context
def evaluate_command(context: click.Context, given: tuple[str, ...], randomness: Randomness | None) -> None:
    """Score the newest weights of RUN, a run folder, an address or a checkpoint, on every instance (or a large sample) with fresh
    seeds, and draw the picture.

    Writes evaluation.json, evaluation.parquet and picture.png into the run folder. May be used while the run trains.

    --randomness scores the same weights with randomness from elsewhere, into evaluation-<source>.json: none (one frozen
    seed), sampled (from the output distribution), dropout, or ensemble. Several RUNs are an ensemble of their weights;
    their experiments may differ in the seed alone, and the first folder keeps the result.

    Settings of the model that weights do not depend on may be changed, as in --model.loops 8; evaluation-model.loops=8.json.
    """
    places, settings = _apart(given)
    runs: list[Path | str] = [LOCATION.convert(place, None, context) for place in places]
    if not runs:
        raise click.UsageError("name a run, an address or a checkpoint")
    changes = parse_overrides(settings)
    evaluate(*runs, randomness=randomness, changes=changes, listener=Progress(console_of()))


def _apart(given: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Places, and dotted settings with their values."""
    places: list[str] = []
    settings: list[str] = []
    remaining = iter(given)
    for argument in remaining:
        if not argument.startswith("--"):
            places.append(argument)
            continue
        settings.append(argument)
        settings += [] if "=" in argument else [next(remaining, "")]
    return places, [part for part in settings if part]
