"""Which experiments share compiled programs: those that differ in nothing but numbers their programs take as arguments.

These are the seed, the q-norm's q, the step size and the learning rate; of schedules all shapes share a program, and a q that
is a number has another one than a q with a schedule, because it keeps the bits of a constant. A strategy
whose population is a matrix has its numbers compiled in and shares the program that evaluates its members; one of the
user's own shares nothing.
"""

from dataclasses import replace

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Evaluation
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.drivers.kinds import driver_of
from es_randomized.objectives.q_norm import QNorm
from es_randomized.schedules import Schedule
from es_randomized.strategies.catalogue import names
from es_randomized.strategies.evolution_settings import EvolutionSettings


def programs_of(experiment: Experiment) -> str:
    """All that is compiled into an experiment's programs: equal texts, equal programs."""
    settings, objective = experiment.driver, experiment.objective
    if isinstance(settings, EvolutionSettings) and settings.kind in names():
        settings = replace(settings, std=1.0, optimizer=replace(settings.optimizer, learning_rate=1.0))
    elif isinstance(settings, GradientSettings):
        settings = replace(settings, optimizer=replace(settings.optimizer, learning_rate=1.0))
    else:
        return repr(experiment)
    if isinstance(objective, QNorm):
        objective = replace(objective, q=Schedule(start=1.0, end=1.0) if isinstance(objective.q, Schedule) else 1.0)
    return repr(replace(experiment, driver=settings, objective=objective, seed=0, evaluation=Evaluation()))


class Drivers:
    """Makes drivers of experiments; later ones share the programs of earlier ones where they can."""

    def __init__(self) -> None:
        self._made: dict[str, Driver] = {}

    def of(self, experiment: Experiment) -> Driver:
        """The experiment made executable.

        Raises:
            ConfigError: its driver cannot train its task.
            MemoryBudgetError: nothing fits the memory its plan allows.
        """
        driver = driver_of(experiment, self._made.get(programs_of(experiment)))
        for each in (experiment, driver.experiment):  # as it was asked for, and as a run folder keeps it
            self._made.setdefault(programs_of(each), driver)
        return driver
