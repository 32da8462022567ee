"""`reproduce`."""

import json
import sys
from pathlib import Path
from typing import Unpack

import click
from rich.console import Console

from es_randomized.cli.console import console_of
from es_randomized.cli.trials import print_end, run_study, with_cluster_options
from es_randomized.errors import ConfigError, suggest
from es_randomized.paper.figure import PaperFigure, load_figure
from es_randomized.paper.plot import save
from es_randomized.paper.points import folder_of, move_others_aside, study_of
from es_randomized.paper.results import results
from es_randomized.runs.storage import saying_what_failed, write_atomically
from es_randomized.trials.run import ClusterOptions
from es_randomized.trials.sweep import Resources

PAPER = Path(__file__).parents[2] / "configs" / "paper"


@click.command("reproduce")
@click.argument("what", metavar="FIGURE|all")
@click.option(
    "--scale", default="small", show_default=True, help="small: two cores, half an hour; full: the paper's sizes."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("reproduction"), show_default=True)
@click.option(
    "--gpus", type=click.FloatRange(0), default=0.0, help="Of every trial; a fraction shares one. None by default."
)
@with_cluster_options
def reproduce_command(what: str, scale: str, out: Path, gpus: float, **cluster: Unpack[ClusterOptions]) -> None:
    """Run the trials behind FIGURE (fig1, fig2, fig3, fig5, fig7 or a YAML file like them) and draw it.

    Every trial is a run folder in OUT/<figure>/<scale>. Those that are finished are used again and those that were
    interrupted go on, so the same command continues after Ctrl-C. Writes OUT/<figure>-<scale>.png and .json.
    """
    figures = [load_figure(path, scale) for path in _paths(what)]
    console, resources = console_of(), Resources(gpus=gpus)
    complete = [_reproduce(figure, out, resources, cluster, console) for figure in figures]
    sys.exit(0 if all(complete) else 1)


def _paths(what: str) -> list[Path]:
    if what.endswith((".yaml", ".yml")):
        return [Path(what)]
    known = {path.stem: path for path in sorted(PAPER.glob("*.yaml"))}
    if what not in ("all", *known) or not known:
        where = suggest(what, [*known, "all"]) if known else f"there are none in {PAPER}; give a YAML file"
        raise ConfigError(f"no figure is called {what!r}; {where}")
    return list(known.values()) if what == "all" else [known[what]]


def _reproduce(figure: PaperFigure, out: Path, resources: Resources, cluster: ClusterOptions, console: Console) -> bool:
    """Run what is missing and draw what is there; returns whether everything is."""
    folder = folder_of(figure, out)
    with folder.lock():
        study = study_of(figure, folder)
        console.print(f"{figure.title}\n{study.total} trials, {len(study.records)} of them done", highlight=False)
        move_others_aside(study)
        queue = run_study(study, resources, cluster, console)
        if queue.progress.count("finished") and not queue.interrupted:
            _draw(figure, out, console)
    return print_end(queue, folder, console)


def _draw(figure: PaperFigure, out: Path, console: Console) -> None:
    path = out / f"{figure.name}-{figure.scale_name}.png"
    tree = results(figure, out)
    write_atomically(path.with_suffix(".json"), (json.dumps(tree, indent=1) + "\n").encode())
    with saying_what_failed(path):
        save(path, tree)
    console.print(f"picture: {path}\nnumbers: {path.with_suffix('.json')}", highlight=False, soft_wrap=True)
