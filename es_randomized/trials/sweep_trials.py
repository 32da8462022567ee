"""The trials of a sweep: which there are, which have begun, which are left, and which come next."""

import hashlib
import math
import re
from collections import Counter
from typing import Any

from es_randomized.errors import ConfigError
from es_randomized.trials.parameter import Parameter
from es_randomized.trials.queue import Study
from es_randomized.trials.search import Point, Tried, text_of
from es_randomized.trials.sweep import Sweep
from es_randomized.trials.trial import Record, Records, Trial, TrialsFolder, layered, same_but_plan, short_names

LONGEST = 240  # bytes of a trial's name; file systems take 255


def study_of(sweep: Sweep, folder: TrialsFolder) -> Study:
    """What is left of a sweep: what was interrupted first, then the seeds its points lack, and then new points."""
    records = known(sweep, folder)
    points = {text_of(record.parameters): record.parameters for record in records.values()}
    trials = [trial for point in points.values() for trial in _of_point(sweep, point)]
    left = [trial for trial in trials if trial.name not in records or not records[trial.name].done]

    def more(records: Records) -> list[Trial]:
        point = sweep.search.next(tried(sweep, records))
        return [] if point is None else _of_point(sweep, point)

    return Study(
        folder=folder,
        trials=sorted(left, key=lambda trial: trial.name not in records),
        records=records,
        total=sweep.search.total() * len(sweep.seeds),
        more=more,
        metric=sweep.metric,
        stop=sweep.stop,
        trials_per_process=sweep.trials_per_process,
    )


def trial_of(sweep: Sweep, point: Point, seed: int) -> Trial:
    """The trial of a point and a training seed. Its name says both, so that equal trials have one folder."""
    parameters, shorts = sweep.search.parameters, short_names(list(point))
    words = [f"{shorts[name]}{_word(parameters[name], value)}" for name, value in point.items()]
    varied = layered(*(parameters[name].settings(name, value) for name, value in point.items()))
    sources = (None,) if sweep.evaluate else ()
    return Trial(
        _shortened("-".join([*words, f"seed{seed}"])), sweep.base, layered(sweep.set, varied), point, seed, sources
    )


def _shortened(name: str) -> str:
    """A name that file systems take: the end of a longer one is its hash, and equal trials still have one folder."""
    if len(name.encode()) <= LONGEST:
        return name
    kept = name.encode()[: LONGEST - 17].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def planned(sweep: Sweep) -> list[Trial] | None:
    """Every trial of a sweep in order; None where what comes next depends on results.

    Raises:
        ConfigError: two points have one name.
    """
    points = sweep.search.listed()
    if points is None:
        return None
    trials = [trial for point in points for trial in _of_point(sweep, point)]
    name, count = Counter(trial.name for trial in trials).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"two points of the sweep are called {name}; list every value once")
    return trials


def known(sweep: Sweep, folder: TrialsFolder) -> Records:
    """The trials that began which this sweep could ask for; its file may have been changed since."""
    return {name: record for name, record in folder.records().items() if _asks_for(sweep, record)}


def check(sweep: Sweep, folder: TrialsFolder) -> None:
    """Make sure that trials are experiments, and the same ones as in their folders if they began.

    Raises:
        ConfigError: one is not.
    """
    trials = planned(sweep)
    if trials is None:  # one point stands for those to come
        point = {name: parameter.at(0.0) for name, parameter in sweep.search.parameters.items()}
        trial_of(sweep, point, sweep.seeds[0]).experiment  # noqa: B018  (checked when it is read)
        trials = [trial_of(sweep, record.parameters, record.seed) for record in known(sweep, folder).values()]
    for trial in trials:
        experiment, run = trial.experiment, folder.run(trial.name)
        if run.experiment_file.exists() and not same_but_plan(run.experiment(), experiment):
            raise ConfigError(
                f"{run.path} holds another experiment than {sweep.name} asks for now; move {folder.path} away, or give "
                "another folder with --out"
            )


def tried(sweep: Sweep, records: Records) -> list[Tried]:
    """What a search is told: the points that began in the order of their texts, each with its mean over all seeds."""
    by_point: dict[str, list[Record]] = {}
    for record in records.values():
        by_point.setdefault(text_of(record.parameters), []).append(record)
    return [Tried(of_point[0].parameters, _score(sweep, of_point)) for _, of_point in sorted(by_point.items())]


def _score(sweep: Sweep, records: list[Record]) -> float | None:
    ended = [record for record in records if record.status != "begun"]
    if len(ended) < len(sweep.seeds):
        return None
    return sum(math.inf if record.score is None else record.score for record in ended) / len(ended)


def _of_point(sweep: Sweep, point: Point) -> list[Trial]:
    return [trial_of(sweep, point, seed) for seed in sweep.seeds]


def _asks_for(sweep: Sweep, record: Record) -> bool:
    parameters = sweep.search.parameters
    return (
        record.seed in sweep.seeds
        and set(record.parameters) == set(parameters)
        and all(parameters[name].admits(value) for name, value in record.parameters.items())
    )


def _word(parameter: Parameter, value: Any) -> str:
    if isinstance(value, dict | list):
        assert parameter.values is not None
        return f"_{parameter.values.index(value) + 1}"  # the first, the second, ... of the values
    return re.sub(r"[^\w.+-]", "_", f"{value}")
