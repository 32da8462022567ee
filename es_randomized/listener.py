"""Who watches a run: the command's display, a notebook's own."""

from pathlib import Path

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.of_runs import Trained
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import MetricsRow
from es_randomized.session import RunResult


class Listener:
    """Is told how a run goes. Every method does nothing; override those of interest."""

    def connecting(self, address: str | None) -> None:
        """Ray is being started, or the cluster at `address` joined."""

    def planned(self, driver: Driver) -> None:
        """The experiment is resolved; next, workers start."""

    def began(self, folder: RunFolder, driver: Driver, evaluator: Evaluator, seconds: float | None) -> None:
        """All workers are there and training begins, for so many seconds at most. `ended` follows in any case."""

    def row(self, row: MetricsRow) -> None:
        """The metrics of a generation."""

    def warned(self, text: str) -> None:
        """Something does not work that training can do without."""

    def ended(self, result: RunResult | None) -> None:
        """Training has ended; None where it raised something."""

    def evaluating(self, trained: Trained) -> None:
        """Weights are being evaluated."""

    def scored(self, folder: RunFolder, trained: Trained, score: Score, path: Path) -> None:
        """They were, and the score is in the file `path` of the run folder."""
