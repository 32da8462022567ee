"""Which driver an experiment asks for."""

from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import class_of
from es_randomized.drivers.around import Around
from es_randomized.drivers.averaged import Averaged
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.phased import phased
from es_randomized.drivers.restarted import with_ends


def driver_of(experiment: Experiment, share_with: Driver | None = None) -> Driver:
    """The experiment made executable; a strategy is driven by `Evolution`, a run with phases by `Phased`.

    Args:
        share_with: whose plan and compiled programs it shares, if both are of one class; see program_sharing.py.

    Raises:
        ConfigError: its driver cannot train its task.
        MemoryBudgetError: nothing fits the memory its plan allows.
    """
    while isinstance(share_with, Around):
        share_with = share_with.inner
    phases = experiment.phases
    made = with_ends(phased(experiment, driver_of, share_with)) if phases else _of_kind(experiment, share_with)
    return Averaged(made.experiment, made) if experiment.answer.average else made


def _of_kind(experiment: Experiment, share_with: Driver | None) -> Driver:
    cls = class_of("driver", experiment.driver.kind)
    driver: type[Driver] = cls if issubclass(cls, Driver) else Evolution
    return driver.of(experiment, share_with)
