"""The trials of a sweep: a point with a training seed, its name, and what became of it."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump
from es_randomized.errors import ConfigError, RunFolderError
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.storage import saying_what_failed, write_atomically
from es_randomized.trials.sweep import Dotted, Parameter, Sweep

Status = Literal["begun", "finished", "stopped", "failed"]
TRIES_PER_POINT = 100  # of drawing one that was not drawn before


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        name: of its run folder.
        parameters: what is varied, by dotted names.
        seed: of its training.
    """

    name: str
    parameters: Dotted
    seed: int

    @property
    def point(self) -> str:
        """The same text for every seed of a point."""
        return json.dumps(self.parameters, sort_keys=True)


@dataclass(frozen=True)
class Record:
    """What became of a trial.

    Attributes:
        status: begun covers what runs now and what was interrupted.
        score: by the sweep's metric, lower is better; None before the first report and of what failed.
        generation: of that score.
        message: why it failed.
    """

    parameters: Dotted
    seed: int
    status: Status = "begun"
    score: float | None = None
    generation: int = 0
    message: str = ""


class SweepFolder:
    """Where a sweep is kept: a run folder for every trial, each with a `trial.json` that says what became of it.

    Attributes:
        path: of the folder.
        table: one row per trial, written when the sweep ends or is stopped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table = path / "trials.parquet"

    def run(self, name: str) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.path / name)

    def records(self) -> dict[str, Record]:
        """Every trial that began, by name.

        Raises:
            RunFolderError: a record is damaged.
        """
        return {path.parent.name: read_record(path) for path in sorted(self.path.glob("*/trial.json"))}

    def write(self, name: str, record: Record) -> None:
        """Keep what became of a trial.

        Raises:
            StorageError: the disk did not take it.
        """
        path = self.path / name / "trial.json"
        with saying_what_failed(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(dataclasses.asdict(record), indent=2) + "\n").encode())

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes from this sweep until the returned block ends or this process dies.

        Raises:
            RunFolderError: another process runs it.
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
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunFolderError(
            f"{path} is damaged ({error}); remove the folder {path.parent} to run the trial again"
        ) from None


def trial_of(sweep: Sweep, parameters: Dotted, seed: int) -> Trial:
    """The trial of a point and a training seed. Its name says both, so that equal trials have one folder."""
    shorts = short_names(list(parameters))
    said = [f"{shorts[name]}{_said(sweep.search.parameters[name], value)}" for name, value in parameters.items()]
    return Trial("-".join([*said, f"seed{seed}"]), parameters, seed)


def short_names(names: list[str]) -> dict[str, str]:
    """The last words of dotted names, as many as tell them apart."""
    for words in itertools.count(1):
        shorts = {name: ".".join(name.split(".")[-words:]) for name in names}
        if len(set(shorts.values())) == len(names):
            return shorts
    raise AssertionError("dotted names differ")


def _said(parameter: Parameter, value: Any) -> str:
    if isinstance(value, dict | list):
        assert parameter.values is not None
        return f"_{parameter.values.index(value) + 1}"  # the first, the second, ... of the values
    return re.sub(r"[^\w.+-]", "_", f"{value}")


def planned(sweep: Sweep) -> list[Trial] | None:
    """Every trial of a sweep in order; None where what comes next depends on results.

    Raises:
        ConfigError: two points have one name.
    """
    if sweep.search.kind == "optuna":
        return None
    points = list(_combinations(sweep) if sweep.search.kind == "grid" else _drawn(sweep))
    trials = [trial_of(sweep, point, seed) for point in points for seed in sweep.seeds]
    _refuse_equal_names(trials)
    return trials


def _combinations(sweep: Sweep) -> Iterator[Dotted]:
    parameters = sweep.search.parameters
    choices = [parameter.values or [] for parameter in parameters.values()]
    return (dict(zip(parameters, values, strict=True)) for values in itertools.product(*choices))


def _drawn(sweep: Sweep) -> Iterator[Dotted]:
    """Different random points: the i-th draw depends on the seed and i alone, so more points do not move the first ones."""
    search, seen = sweep.search, set()
    assert search.points is not None
    for number in range(search.points * TRIES_PER_POINT):
        shares = np.random.default_rng([search.seed, number]).random(len(search.parameters))
        drawn = zip(search.parameters.items(), shares, strict=True)
        point = {name: parameter.at(float(share)) for (name, parameter), share in drawn}
        text = json.dumps(point, sort_keys=True)
        if text not in seen:
            seen.add(text)
            yield point
        if len(seen) == search.points:
            return


def _refuse_equal_names(trials: list[Trial]) -> None:
    points: dict[str, str] = {}
    for trial in trials:
        if trial.name in points:
            raise ConfigError(f"two points of the sweep are called {trial.name}; list every value once")
        points[trial.name] = trial.point


def known(sweep: Sweep, folder: SweepFolder) -> dict[str, Record]:
    """The trials that began which this sweep could ask for, by name; its file may have been changed since."""
    parameters = sweep.search.parameters
    return {
        name: record
        for name, record in folder.records().items()
        if record.seed in sweep.seeds
        and set(record.parameters) == set(parameters)
        and all(parameters[each].admits(value) for each, value in record.parameters.items())
    }


def check(sweep: Sweep, folder: SweepFolder) -> None:
    """Make sure that trials are experiments, and the same ones as in their folders if they began.

    Raises:
        ConfigError: one is not.
    """
    trials = planned(sweep)
    if trials is None:  # one point stands for those to come
        sweep.experiment(
            {name: parameter.at(0.0) for name, parameter in sweep.search.parameters.items()}, sweep.seeds[0]
        )
        trials = [trial_of(sweep, record.parameters, record.seed) for record in known(sweep, folder).values()]
    for trial in trials:
        experiment = sweep.experiment(trial.parameters, trial.seed)
        run = folder.run(trial.name)
        if run.experiment_file.exists() and not same_but_plan(run.experiment(), experiment):
            raise ConfigError(
                f"{run.path} holds another experiment than {sweep.name} asks for now; move {folder.path} away, or give "
                "another folder with --out"
            )


def same_but_plan(one: Experiment, other: Experiment) -> bool:
    """Whether two experiments give the same run: all but the plan, which follows the machine, is the same."""
    return dump(dataclasses.replace(one, plan=other.plan)) == dump(other)
