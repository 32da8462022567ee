"""What trials in one process have in common: compiled programs, of training, of held-out checks and of scores."""

from typing import Any, TypeVar

from es_randomized.config.experiment import Experiment
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.program_sharing import Drivers

Runner = TypeVar("Runner")


class SharedPrograms:
    """Makes what trains and scores experiments; later ones use the programs of earlier ones where they can."""

    def __init__(self) -> None:
        self._drivers = Drivers()
        self._runners: dict[tuple[type, str, str], Any] = {}

    def driver(self, experiment: Experiment) -> Driver:
        """The experiment made executable.

        Raises:
            ConfigError: its driver cannot train its task.
            MemoryBudgetError: nothing fits the memory its plan allows.
        """
        return self._drivers.of(experiment)

    def runner(self, kind: type[Runner], experiment: Experiment) -> Runner:
        """What runs policies of this task and model, made by `kind(task, model)`."""
        key = kind, repr(experiment.task), repr(experiment.model)
        made: Any = kind
        if key not in self._runners:
            self._runners[key] = made(experiment.task, experiment.model)
        return self._runners[key]
