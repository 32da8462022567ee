"""What the command prints while a run trains and is evaluated."""

from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from es_randomized.cli.display import showing
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.of_runs import Trained
from es_randomized.listener import Listener
from es_randomized.report.picture import draw
from es_randomized.report.table import score_table
from es_randomized.runs.checkpoint import metrics_of
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import MetricsRow
from es_randomized.runs.storage import saying_what_failed
from es_randomized.session import RunResult


class Progress(Listener):
    """Prints what is to be known, and draws the picture of what was evaluated."""

    def __init__(self, console: Console) -> None:
        self._console, self._showing = console, ExitStack()

    def connecting(self, address: str | None) -> None:
        self._say(connecting(address))

    def planned(self, driver: Driver) -> None:
        self._console.print(driver.title)

    def began(self, folder: RunFolder, driver: Driver, evaluator: Evaluator, seconds: float | None) -> None:
        if workers := [worker for worker in evaluator.workers() if worker.gone is None]:
            self._console.print(f"{sum(worker.workers for worker in workers)} workers ready")
        self._say(f"run folder: {folder.name}")
        budget = driver.experiment.budget
        self._show = self._showing.enter_context(showing(self._console, budget, seconds, evaluator.workers))

    def row(self, row: MetricsRow) -> None:
        self._show(row)

    def warned(self, text: str) -> None:
        self._say(f"warning: {text}")

    def ended(self, result: RunResult | None) -> None:
        self._showing.close()
        if result:
            self._console.print(f"{result.reason} after {result.generation} generations")

    def evaluating(self, trained: Trained) -> None:
        self._console.print(f"evaluating {trained.what} ...")

    def scored(self, folder: RunFolder, trained: Trained, score: Score, path: Path) -> None:
        own = path.name == folder.evaluation_file.name
        if own:
            _draw(folder, trained, score)
        self._console.print(score_table(score))
        self._say(f"picture:    {folder.picture}" if own else f"evaluation: {path}")
        self._say(f"folder:     {folder.name}")
        self._say(f"report:     es-randomized report {folder.name}")
        if not folder.is_checkpoint:
            self._say(f"resume:     es-randomized resume {folder.name}")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def connecting(address: str | None) -> str:
    """What to say before Ray is started or joined, which takes a while."""
    return f"joining the Ray cluster at {address} ..." if address else "starting Ray ..."


def _draw(folder: RunFolder, trained: Trained, score: Score) -> None:
    with saying_what_failed(folder.picture):
        draw(folder.picture, trained.experiment, metrics_of(folder), score, trained.weights)
