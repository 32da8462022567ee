"""What a report is about, read once: groups of runs with their metrics, evaluations and origin."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.groups import Group, grouped
from es_randomized.evaluation.statistics import Estimate, mean_estimate
from es_randomized.evaluation.stored import Tree, command, score_of, stored
from es_randomized.runs.checkpoint import metrics_of
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.timeline import read_timeline
from es_randomized.tasks.measure import Bounds, Measure

CONFIDENCE = 0.95  # of intervals over training seeds


@dataclass(frozen=True)
class Run:
    """One run, as far as it has come.

    Attributes:
        name: the group's, with the seed where it has several runs.
        metrics: one row per generation.
        summary: evaluation.json; None before it is evaluated.
        score: the same with every instance; None where the table of instances was not kept.
        origin: provenance.json; empty where it is missing.
        timeline: who computed when; empty where there were no workers.
    """

    name: str
    seed: int
    folder: RunFolder
    metrics: pa.Table
    summary: Tree | None
    score: Score | None
    origin: Tree
    timeline: pa.Table


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ only in their seed."""

    name: str
    experiment: Experiment
    members: list[Run]

    @property
    def measure(self) -> Measure:
        """What is measured of them."""
        return self.experiment.task.measure

    @property
    def summaries(self) -> list[Tree]:
        """Evaluations of those that have one."""
        return [run.summary for run in self.members if run.summary]


def read(folders: list[RunFolder]) -> list[RunGroup]:
    """Everything in the folders, group by group.

    Raises:
        RunFolderError: a folder holds no run, or its evaluation is damaged.
        ConfigError: the runs do not belong on one page.
    """
    return [_runs(group) for group in grouped(folders)]


def _runs(group: Group) -> RunGroup:
    several = len(group.runs) > 1
    members = [
        _run(f"{group.name}, seed {seed}" if several else group.name, seed, folder)
        for seed, folder in group.runs.items()
    ]
    return RunGroup(group.name, group.experiment, members)


def _run(name: str, seed: int, folder: RunFolder) -> Run:
    evaluation = stored(folder)
    score = score_of(*evaluation) if evaluation and evaluation.instances is not None else None
    metrics = metrics_of(folder)
    return Run(
        name,
        seed,
        folder,
        metrics,
        evaluation and evaluation.summary,
        score,
        folder.origin(),
        read_timeline(folder.workers),
    )


def together(estimates: list[Estimate], bounds: Bounds) -> Estimate:
    """One run's own interval, or the mean over training seeds with Student's, in the bounds of what is measured."""
    if len(estimates) == 1:
        return estimates[0]
    return mean_estimate(np.array([estimate.value for estimate in estimates]), CONFIDENCE, bounds)


def missing(run: Run) -> str | None:
    """What a run lacks that the page could show, and how to get it."""
    if run.summary is None:
        return f"{run.name} was not evaluated, so only its training is shown. To evaluate it: {command(run.folder)}"
    if run.score is None:
        return (
            f"The table of instances of {run.name} was not kept, so its single inputs are not shown. "
            f"To make it again: {command(run.folder)}"
        )
    return None
