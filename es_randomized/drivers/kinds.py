"""Which driver an experiment asks for."""

from es_randomized.drivers.driver import Driver
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.gradient import Gradient
from es_randomized.drivers.gradient_settings import GradientSettings
from es_randomized.experiment import Experiment


def driver_of(experiment: Experiment) -> Driver:
    """The experiment made executable.

    Raises:
        ConfigError: its driver cannot train its task.
        MemoryBudgetError: nothing fits the memory its plan allows.
    """
    return Gradient.of(experiment) if isinstance(experiment.driver, GradientSettings) else Evolution.of(experiment)
