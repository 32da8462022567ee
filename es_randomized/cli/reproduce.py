"""`reproduce`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PAPER = Path(__file__).parents[2] / "configs" / "paper"


@click.command("reproduce")
@click.argument("what", metavar="FIGURE|all")
@click.option(
    "--scale", default="small", show_default=True, help="small: two cores, half an hour; full: the paper's sizes."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("reproduction"), show_default=True)
@click.option("--jobs", type=click.IntRange(1), help="Trials side by side; one per core by default.")
def reproduce_command(what: str, scale: str, out: Path, jobs: int | None) -> None:
    """Run the trials behind FIGURE (fig1, fig2, fig3, fig5, fig7 or a YAML file like them) and draw it.

    Every trial is a run folder in OUT/<figure>/<scale>. Those that are finished are used again and those that were
    interrupted go on, so the same command continues after Ctrl-C. Writes OUT/<figure>-<scale>.png and .json.
    """
    from es_randomized import compilation
    from es_randomized.paper.figure import load_figure

    figures = [load_figure(path, scale) for path in _paths(what)]
    console = Console()
    complete = [_reproduce(figure, out, jobs or compilation.usable_cores(), console) for figure in figures]
    sys.exit(0 if all(complete) else 1)


def _paths(what: str) -> list[Path]:
    from es_randomized.config.yaml import suggest
    from es_randomized.errors import ConfigError

    if what.endswith((".yaml", ".yml")):
        return [Path(what)]
    known = {path.stem: path for path in sorted(PAPER.glob("*.yaml"))}
    if what not in ("all", *known) or not known:
        where = suggest(what, [*known, "all"]) if known else f"there are none in {PAPER}; give a YAML file"
        raise ConfigError(f"no figure is called {what!r}; {where}")
    return list(known.values()) if what == "all" else [known[what]]


def _reproduce(figure: Any, out: Path, jobs: int, console: Console) -> bool:
    """Run what is missing and draw what is there; returns whether everything is."""
    from es_randomized.paper.points import folder_of, trials_of
    from es_randomized.paper.pool import run_trials

    trials = {trial.name: (trial, folder_of(figure, trial, out)) for trial in trials_of(figure)}
    missing = [(trial, folder) for trial, folder in trials.values() if not trial.finished(folder)]
    console.print(f"{figure.title}\n{len(trials)} trials, {len(trials) - len(missing)} of them done", highlight=False)
    with _showing(console, len(missing)) as show:
        progress = run_trials(missing, jobs, show)
    if len(progress.failures) < len(trials) and not progress.stopped:
        _draw(figure, out, console)
    for failure in progress.failures:
        console.print(f"[bold red]failed[/] {failure.trial}: {failure.message}", highlight=False, soft_wrap=True)
        console.print(f"       its log: {failure.log}", highlight=False, soft_wrap=True)
    if progress.stopped:
        console.print("stopped; the same command goes on")
    return not progress.failures and not progress.stopped


def _draw(figure: Any, out: Path, console: Console) -> None:
    import json

    from es_randomized.paper.plot import save
    from es_randomized.paper.results import results
    from es_randomized.runs.storage import saying_what_failed, write_atomically

    path = out / f"{figure.name}-{figure.scale_name}.png"
    tree = results(figure, out)
    write_atomically(path.with_suffix(".json"), (json.dumps(tree, indent=1) + "\n").encode())
    with saying_what_failed(path):
        save(path, tree)
    console.print(f"picture: {path}\nnumbers: {path.with_suffix('.json')}", highlight=False, soft_wrap=True)


@contextmanager
def _showing(console: Console, trials: int) -> Iterator[Callable[[Any], None]]:
    """A live bar on a terminal; elsewhere a line whenever a trial ends."""
    if not console.is_terminal or not trials:
        yield _printer(console, trials)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=3600) as bar:
        task = bar.add_task("trials", total=trials)
        yield lambda progress: bar.update(task, completed=progress.completed, description=_state(progress, trials))


def _printer(console: Console, trials: int) -> Callable[[Any], None]:
    began, shown = time.monotonic(), [0]

    def show(progress: Any) -> None:
        if len(progress.done) > shown[0]:
            shown[0] = len(progress.done)
            spent = time.monotonic() - began
            left = spent / progress.completed * (trials - progress.completed)
            console.print(f"{_state(progress, trials)}  {spent:.0f} s, about {left:.0f} s left", highlight=False)

    return show


def _state(progress: Any, trials: int) -> str:
    failed = f", {len(progress.failures)} failed" if progress.failures else ""
    running = ", ".join(each.trial.name for each in progress.running)
    return f"{len(progress.done)} of {trials} trials{failed}; running: {running or 'none'}"
