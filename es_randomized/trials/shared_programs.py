"""What trials in one process have in common: compiled programs, of training, of held-out checks and of scores."""

from collections.abc import Callable
from typing import Any, TypeVar

from es_randomized.config.experiment import Experiment
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.program_sharing import Drivers
from es_randomized.models.model import Model
from es_randomized.tasks.task import Task

Runner = TypeVar("Runner")


class SharedPrograms:
    """Makes what trains and scores experiments; later ones use the programs of earlier ones where they can."""

    def __init__(self) -> None:
        self._drivers = Drivers(driver_of)
        self._runners: dict[tuple[object, str, str], Any] = {}

    def driver(self, experiment: Experiment) -> Driver:
        """The experiment made executable.

        Raises:
            ConfigError: its driver cannot train its task.
            MemoryBudgetError: nothing fits the memory its plan allows.
        """
        return self._drivers.of(experiment)

    def runner(self, kind: Callable[[Task, Model], Runner], experiment: Experiment) -> Runner:
        """What runs policies of this task and model, made by `kind`."""
        key = kind, repr(experiment.task), repr(experiment.model)
        if key not in self._runners:
            self._runners[key] = kind(experiment.task, experiment.model)
        runner: Runner = self._runners[key]
        return runner
