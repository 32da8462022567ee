"""Which driver an experiment asks for."""

from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import class_of
from es_randomized.drivers.averaged import Averaged
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.evolution import Evolution


def driver_of(experiment: Experiment, share_with: Driver | None = None) -> Driver:
    """The experiment made executable; a strategy is driven by `Evolution`.

    Args:
        share_with: whose plan and compiled programs it shares, if both are of one class; see program_sharing.py.

    Raises:
        ConfigError: its driver cannot train its task.
        MemoryBudgetError: nothing fits the memory its plan allows.
    """
    cls = class_of("driver", experiment.driver.kind)
    driver: type[Driver] = cls if issubclass(cls, Driver) else Evolution
    made = driver.of(experiment, share_with.inner if isinstance(share_with, Averaged) else share_with)
    return Averaged(made.experiment, made) if experiment.answer.average else made
