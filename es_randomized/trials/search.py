"""Which trial comes next: from a list, or where Optuna expects good ones from what is known so far."""

import math
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from typing import Any

from es_randomized.errors import ConfigError
from es_randomized.trials.sweep import Dotted, Parameter, Sweep
from es_randomized.trials.trial import Record, Trial, planned, trial_of

REPEATS = 100  # suggestions of known points in a row after which there is nothing new to try


class Choice(ABC):
    """Hands out trials."""

    @abstractmethod
    def next(self) -> Trial | None:
        """A trial to begin or to go on with; None when there is none left."""

    def tell(self, trial: Trial, score: float) -> None:
        """What a trial came to, lower is better; infinite if it failed."""

    @abstractmethod
    def total(self) -> int:
        """How many trials the sweep has, at most."""


def choice_of(sweep: Sweep, records: dict[str, Record]) -> Choice:
    """What is left to do of a sweep of which `records` are known (see `trials.known`). What failed is tried again.

    Raises:
        ConfigError: Optuna is asked for and not installed.
    """
    trials = planned(sweep)
    return Asked(sweep, records) if trials is None else Listed(trials, records)


class Listed(Choice):
    """Trials known from the beginning, those that were interrupted first."""

    def __init__(self, trials: list[Trial], records: dict[str, Record]) -> None:
        left = [trial for trial in trials if not _done(records.get(trial.name))]
        self._left = deque(sorted(left, key=lambda trial: trial.name not in records))
        self._total = len(trials)

    def next(self) -> Trial | None:
        return self._left.popleft() if self._left else None

    def total(self) -> int:
        return self._total


class Asked(Choice):
    """Points that Optuna's estimator suggests, each with all training seeds; it is told their mean."""

    def __init__(self, sweep: Sweep, records: dict[str, Record]) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError(
                "search.kind: optuna needs Optuna, which is not installed; install es-randomized[sweep]"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._sweep = optuna, sweep
        sampler = optuna.samplers.TPESampler(
            seed=sweep.search.seed + len(records)
        )  # another one after every interruption
        self._study = optuna.create_study(sampler=sampler)
        self._space = {name: self._between(parameter) for name, parameter in sweep.search.parameters.items()}
        self._scores: dict[str, dict[int, float]] = defaultdict(dict)
        self._asked: dict[str, Any] = {}
        self._left: deque[Trial] = deque()
        before = [trial_of(sweep, record.parameters, record.seed) for record in records.values()]
        for point in {trial.point: trial.parameters for trial in before}.values():
            self._again(point, records)

    def next(self) -> Trial | None:
        if not self._left and len(self._scores) < (self._sweep.search.points or 0):
            self._ask()
        return self._left.popleft() if self._left else None

    def tell(self, trial: Trial, score: float) -> None:
        scores = self._scores[trial.point]
        scores[trial.seed] = score
        if len(scores) < len(self._sweep.seeds):
            return
        mean = sum(scores.values()) / len(scores)
        if trial.point in self._asked:
            self._study.tell(self._asked.pop(trial.point), mean)
        else:
            create = self._optuna.trial.create_trial
            found = create(params=self._coded(trial.parameters), distributions=self._space, value=mean)
            self._study.add_trial(found)

    def total(self) -> int:
        return (self._sweep.search.points or 0) * len(self._sweep.seeds)

    def _ask(self) -> None:
        for _ in range(REPEATS):
            asked = self._study.ask(self._space)
            point = {name: self._decoded(name, value) for name, value in asked.params.items()}
            trials = [trial_of(self._sweep, point, seed) for seed in self._sweep.seeds]
            if trials[0].point not in self._scores:
                self._scores[trials[0].point] = {}
                self._asked[trials[0].point] = asked
                self._left.extend(trials)
                return
            self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)

    def _again(self, point: Dotted, records: dict[str, Record]) -> None:
        """Take up what is known of a point: tell what ended, and finish what did not."""
        trials = [trial_of(self._sweep, point, seed) for seed in self._sweep.seeds]
        self._scores[trials[0].point] = {}
        for trial in trials:
            record = records.get(trial.name)
            if record and _done(record):
                self.tell(trial, math.inf if record.score is None else record.score)
            else:
                self._left.append(trial)

    def _between(self, parameter: Parameter) -> Any:
        kinds = self._optuna.distributions
        if parameter.values is not None:
            return kinds.CategoricalDistribution(range(len(parameter.values)))
        log = parameter.scale == "log"
        if parameter.whole:
            return kinds.IntDistribution(int(parameter.low or 0), int(parameter.high or 0), log=log)
        return kinds.FloatDistribution(parameter.low, parameter.high, log=log)

    def _decoded(self, name: str, value: Any) -> Any:
        parameter = self._sweep.search.parameters[name]
        return parameter.values[value] if parameter.values is not None else parameter.rounded(value)

    def _coded(self, point: Dotted) -> Dotted:
        parameters = self._sweep.search.parameters
        return {
            name: p.values.index(point[name]) if p.values is not None else point[name] for name, p in parameters.items()
        }


def _done(record: Record | None) -> bool:
    return record is not None and record.status in ("finished", "stopped")
