"""A trial being trained and scored in this process: an ordinary run folder, and a report every now and then."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

from es_randomized.config.yaml import parse
from es_randomized.drivers.local_evaluator import local_evaluator
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.evaluate import runner_of
from es_randomized.evaluation.of_runs import evaluate_runs, file_of, newest, write_score
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import Randomness
from es_randomized.evaluation.stored import stored
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import read_metrics
from es_randomized.session import TrainingSession
from es_randomized.tasks.measure import Measure
from es_randomized.trials.shared_programs import SharedPrograms
from es_randomized.trials.sweep import Metric
from es_randomized.trials.trial import same_but_plan

SECONDS_BETWEEN_REPORTS = 5.0  # at most, unless a generation takes longer


class Report(NamedTuple):
    """How far a trial is.

    Attributes:
        name: of the trial.
        generation: how many are done.
        score: by the metric that trials are compared by, lower is better; None where there is no new one.
        done: whether there is nothing left to do.
        message: why it failed.
    """

    name: str
    generation: int = 0
    score: float | None = None
    done: bool = False
    message: str = ""


class Assignment(NamedTuple):
    """A trial as its process is told of it.

    Attributes:
        folder: its run folder.
        experiment: as text.
        sources: of randomness under which it is scored, see `Trial`.
        metric: that trials are compared by.
    """

    name: str
    folder: str
    experiment: str
    sources: tuple[Randomness | None, ...] = (None,)
    metric: Metric = "p95"


def attempt(assignment: Assignment, shared: SharedPrograms) -> Generator[Report, None, None]:
    """Train a trial from wherever its folder says it is, and score it at its end.

    Reports after every held-out check; the last report is final. Close it early and what was trained is kept.

    Args:
        shared: by the trials of this process.
    """
    name, metric, folder = assignment.name, assignment.metric, RunFolder(Path(assignment.folder))
    began = folder.experiment_file.exists()
    driver = shared.driver(folder.experiment() if began else parse(assignment.experiment))
    if not began:
        folder.create(driver.experiment)
    elif not same_but_plan(driver.experiment, parse(assignment.experiment)):
        raise RunFolderError(f"{folder.name} holds another experiment than the trial {name}; move it away")
    experiment, reported = driver.experiment, time.monotonic()
    generations, measure = experiment.budget.generations, experiment.task.measure
    outcomes = shared.runner(Outcomes, experiment)
    with local_evaluator(driver) as evaluator, TrainingSession(folder, driver, evaluator, outcomes) as training:
        for row in training.rows():
            last = training.ending or training.generation == generations  # what is said of it follows below
            score = None if last else score_of_row(row, measure, metric)
            if score is not None or time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                yield Report(name, training.generation, score)
                reported = time.monotonic()
    missing = [source for source in assignment.sources if not file_of(folder, experiment, source).exists()]
    if missing:
        trained, runner = newest(folder, driver, outcomes), shared.runner(runner_of(experiment), experiment)
        for source in missing:
            write_score(folder, experiment, evaluate_runs([trained], source, runner), trained.choice)
    yield Report(name, training.generation, final_score(folder, measure, metric), True)


def score_of_row(row: dict[str, Any], measure: Measure, metric: Metric) -> float | None:
    """The score in a row of metrics, at the generations of held-out checks."""
    value = row.get("held_out_average" if metric == "loss" else f"held_out_{metric}")
    if value is None:
        return None
    return float(row["loss_mean"]) if metric == "loss" else float(measure.as_loss(value))


def scores_over_time(folder: RunFolder, measure: Measure, metric: Metric) -> list[tuple[int, float]]:
    """What a trial reported while it trained: generations done, and the score then."""
    rows = read_metrics(folder.metrics).to_pylist()
    scored = ((row["generation"] + 1, score_of_row(row, measure, metric)) for row in rows)
    return [(generation, score) for generation, score in scored if score is not None]


def final_score(folder: RunFolder, measure: Measure, metric: Metric) -> float:
    """The score of a trial that is trained to its end: of its evaluation, or else of its last held-out check."""
    evaluation = stored(folder)
    if evaluation and metric != "loss":
        return float(measure.as_loss(evaluation.summary[metric]["value"]))
    return scores_over_time(folder, measure, metric)[-1][1]
