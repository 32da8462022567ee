"""Which trials share a process: those that come next and whose programs agree."""

from collections.abc import Callable
from typing import NamedTuple

from es_randomized.config.experiment import Experiment
from es_randomized.drivers.program_sharing import programs_of
from es_randomized.errors import ConfigError
from es_randomized.trials.search import Choice
from es_randomized.trials.sweep import Sweep
from es_randomized.trials.trial import Record, Trial


class Planned(NamedTuple):
    """A trial with its experiment."""

    trial: Trial
    experiment: Experiment


class Groups:
    """Hands out the trials of a choice, up to `sweep.together` at a time.

    Looks at most as many trials ahead for some that go together; those it passes over come next.

    Args:
        refuse: told of trials that are no experiment, a point that nobody knew beforehand.
    """

    def __init__(self, sweep: Sweep, choice: Choice, refuse: Callable[[Trial, Record], None]) -> None:
        self._sweep, self._choice, self._refuse = sweep, choice, refuse
        self._passed_over: list[Planned] = []

    def next(self) -> list[Planned]:
        """Trials for one process; none when there are none left."""
        group: list[Planned] = []
        waiting, self._passed_over = self._passed_over, []
        while len(group) < self._sweep.together and len(self._passed_over) < self._sweep.together:
            planned = waiting.pop(0) if waiting else self._planned()
            if planned is None:
                break
            alike = not group or programs_of(planned.experiment) == programs_of(group[0].experiment)
            (group if alike else self._passed_over).append(planned)
        self._passed_over += waiting
        return group

    def _planned(self) -> Planned | None:
        while trial := self._choice.next():
            try:
                return Planned(trial, self._sweep.experiment(trial.parameters, trial.seed))
            except ConfigError as error:
                self._refuse(trial, Record(trial.parameters, trial.seed, "failed", message=str(error)))
        return None
