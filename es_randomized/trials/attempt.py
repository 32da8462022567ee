"""A trial being trained and scored in this process: an ordinary run folder, and a report every now and then."""

import logging
import math
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

from es_randomized.config.experiment import Experiment
from es_randomized.drivers.local_evaluator import local_evaluator
from es_randomized.errors import UserError
from es_randomized.evaluation.evaluate import runner_of
from es_randomized.evaluation.of_runs import evaluate_runs, file_of, newest, write_score
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import Randomness
from es_randomized.evaluation.stored import stored
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import read_metrics
from es_randomized.session import TrainingSession
from es_randomized.trials.shared_programs import SharedPrograms
from es_randomized.trials.sweep import Metric

SECONDS_BETWEEN_REPORTS = 5.0  # at most, unless a generation takes longer

log = logging.getLogger(__name__)


class Report(NamedTuple):
    """How far a trial is.

    Attributes:
        generation: how many are done.
        score: by the sweep's metric, lower is better; None where there is no new one.
        done: whether there is nothing left to do.
        message: why it failed.
    """

    generation: int
    score: float | None = None
    done: bool = False
    message: str = ""


def attempt(
    folder: RunFolder,
    experiment: Experiment,
    metric: Metric,
    sources: tuple[Randomness | None, ...],
    shared: SharedPrograms,
) -> Generator[Report, None, None]:
    """Train a trial from wherever its folder says it is, and score it at its end.

    Reports after every held-out check; the last report is final. Close it early and what was trained is kept. Whatever
    the experiment's code raises ends in a final report with a message and an infinite score.

    Args:
        sources: of randomness under which it is scored, see `Trial`.
        shared: by the trials of this process.
    """
    try:
        yield from _attempt(folder, experiment, metric, sources, shared)
    except Exception as error:
        log.exception("the trial failed")
        yield failed(error)


def failed(error: Exception) -> Report:
    """The last report of a trial that raised an error."""
    return Report(0, math.inf, True, str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")


def _attempt(
    folder: RunFolder,
    experiment: Experiment,
    metric: Metric,
    sources: tuple[Randomness | None, ...],
    shared: SharedPrograms,
) -> Generator[Report, None, None]:
    began = folder.experiment_file.exists()
    driver = shared.driver(folder.experiment() if began else experiment)
    if not began:
        folder.create(driver.experiment)
    generations, reported = driver.experiment.budget.generations, time.monotonic()
    checks = shared.runner(Outcomes, driver.experiment)
    with local_evaluator(driver) as evaluator, TrainingSession(folder, driver, evaluator, checks) as training:
        for row in training.rows():
            last = training.generation == generations  # what is said of it follows below
            score = None if last else score_of_row(row, experiment.task.headline, metric)
            if score is not None or time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                yield Report(training.generation, score)
                reported = time.monotonic()
    missing = [source for source in sources if not file_of(folder, driver.experiment, source).exists()]
    if missing:
        trained, runner = newest(folder, driver), shared.runner(runner_of(driver.experiment), driver.experiment)
        for source in missing:
            write_score(folder, driver.experiment, evaluate_runs([trained], source, runner))
    yield Report(generations, final_score(folder, experiment.task.headline, metric), True)


def score_of_row(row: dict[str, Any], headline: str, metric: Metric) -> float | None:
    """The score in a row of metrics, at the generations of held-out checks."""
    value = row.get("held_out_average" if metric == "loss" else f"held_out_{metric}")
    if value is None:
        return None
    return float(row["loss_mean"]) if metric == "loss" else _lower_is_better(value, headline)


def scores_over_time(folder: RunFolder, headline: str, metric: Metric) -> list[tuple[int, float]]:
    """What a trial reported while it trained: generations done, and the score then."""
    rows = read_metrics(folder.metrics).to_pylist()
    scored = ((row["generation"] + 1, score_of_row(row, headline, metric)) for row in rows)
    return [(generation, score) for generation, score in scored if score is not None]


def final_score(folder: RunFolder, headline: str, metric: Metric) -> float:
    """The score of a trial that is trained to its end: of its evaluation, or else of its last held-out check."""
    evaluation = stored(folder)
    if evaluation and metric != "loss":
        return _lower_is_better(evaluation.summary[metric]["value"], headline)
    return scores_over_time(folder, headline, metric)[-1][1]


def _lower_is_better(value: float, headline: str) -> float:
    return float(value) if headline == "loss" else 1.0 - float(value)


def at(path: str) -> RunFolder:
    """The run folder at a path that another process prepared.

    Raises:
        UserError: this machine does not have it.
    """
    folder = RunFolder(Path(path))
    if not (folder.path / "trial.json").exists():
        raise UserError(
            f"this machine does not see the folder {path} of the machine that runs the sweep; put the sweep on a shared "
            "file system: --out /shared/sweeps"
        )
    return folder
