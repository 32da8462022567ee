"""A trial: one run among several, with its name, its folder and a record of what became of it."""

import dataclasses
import itertools
from collections.abc import Iterable
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump, load
from es_randomized.drivers.layout import with_tile
from es_randomized.errors import ConfigError, RunFolderError, UserError
from es_randomized.evaluation.randomness import Randomness
from es_randomized.runs.checked import json_of, read_json
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.storage import saying_what_failed, write_atomically

Dotted = dict[str, Any]  # settings, or whole sections, by their dotted names
RECORD_FILE = "trial.json"  # in the folder of a trial
Status = Literal["begun", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One run among several.

    Attributes:
        name: of its run folder.
        base: YAML file of the experiment it starts from.
        settings: what makes that experiment this one, except for the seed.
        parameters: those of the settings that are varied from trial to trial.
        seed: of its training.
        sources: of randomness under which it is scored at its end, None for its own.
    """

    name: str
    base: Path
    settings: Dotted
    parameters: Dotted
    seed: int
    sources: tuple[Randomness | None, ...] = (None,)

    @cached_property
    def experiment(self) -> Experiment:
        """What is trained, read and checked when it is first asked for.

        Raises:
            ConfigError: it cannot be trained as written.
        """
        try:
            experiment = load(self.base, layered(self.settings, {"seed": self.seed}))
            experiment.batch.bundles(experiment.task)  # says so now if the instances are no whole bundles
            if experiment.plan.tile != "auto":
                with_tile(experiment)  # or if the tile does not divide the cases
        except UserError as error:
            raise ConfigError(f"the trial {self.name} is no experiment: {error}") from None
        return experiment

    def scored_under(self, sources: Iterable[Randomness | None]) -> "Trial":
        """The same trial with other sources of randomness."""
        trial = dataclasses.replace(self, sources=tuple(sources))
        vars(trial)["experiment"] = self.experiment  # read already
        return trial


@dataclass(frozen=True)
class Record:
    """What became of a trial.

    Attributes:
        parameters, seed: see `Trial`.
        status: begun covers what runs now and what was interrupted; stopped is early, because others were better.
        score: by the metric that trials are compared by, lower is better; None before the first report and of what failed.
        generation: of that score.
        message: why it failed.
    """

    parameters: Dotted
    seed: int
    status: Status = "begun"
    score: float | None = None
    generation: int = 0
    message: str = ""

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do; what failed is tried again."""
        return self.status in ("finished", "stopped")


Records = dict[str, Record]  # by the name of the trial


class TrialsFolder:
    """Where trials are kept: a run folder for each, with a `trial.json` that says what became of it.

    Attributes:
        path: of the folder.
        table: one row per trial of a sweep, written when it ends or is interrupted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table = path / "trials.parquet"

    def run(self, name: str) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.path / name)

    def records(self) -> Records:
        """Every trial that began.

        Raises:
            RunFolderError: a record is damaged.
        """
        return {path.parent.name: read_record(path) for path in sorted(self.path.glob(f"*/{RECORD_FILE}"))}

    def write(self, name: str, record: Record) -> None:
        """Keep what became of a trial.

        Raises:
            StorageError: the disk did not take it.
        """
        path = self.path / name / RECORD_FILE
        with saying_what_failed(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json_of(dataclasses.asdict(record)))

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes from these trials until the returned block ends or this process dies.

        Raises:
            RunFolderError: another process runs them.
        """
        with saying_what_failed(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        return RunFolder(self.path).lock()


def read_record(path: Path) -> Record:
    """The record in a `trial.json`.

    Raises:
        RunFolderError: it is damaged.
    """
    try:
        return Record(**read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise RunFolderError(
            f"{path} is damaged ({error}); remove the folder {path.parent} to run the trial again"
        ) from None


def layered(*layers: Dotted) -> Dotted:
    """Settings of several layers: later ones win and are applied last, so an objective replaces an earlier objective.q."""
    merged: Dotted = {}
    for layer in layers:
        for dotted, value in layer.items():
            merged.pop(dotted, None)
            merged[dotted] = deepcopy(value)  # what is set inside a section changes it
    return merged


def short_names(names: list[str]) -> dict[str, str]:
    """The last words of dotted names, as many as tell them apart."""
    for words in itertools.count(1):
        shorts = {name: ".".join(name.split(".")[-words:]) for name in names}
        if len(set(shorts.values())) == len(names):
            return shorts
    raise AssertionError("dotted names differ")


def same_but_plan(one: Experiment, other: Experiment) -> bool:
    """Whether two experiments give the same run: all but the plan, which follows the machine, is the same."""
    return dump(one.without_plan) == dump(other.without_plan)
