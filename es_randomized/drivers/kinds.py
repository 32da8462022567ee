"""Which driver an experiment asks for."""

from es_randomized.config.experiment import Experiment
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.gradient import Gradient
from es_randomized.drivers.gradient_settings import GradientSettings


def driver_of(experiment: Experiment, like: Driver | None = None) -> Driver:
    """The experiment made executable.

    Args:
        like: whose plan and compiled programs it shares; see alike.py.

    Raises:
        ConfigError: its driver cannot train its task.
        MemoryBudgetError: nothing fits the memory its plan allows.
    """
    if isinstance(experiment.driver, GradientSettings):
        return Gradient.of(experiment, like if isinstance(like, Gradient) else None)
    return Evolution.of(experiment, like if isinstance(like, Evolution) else None)
