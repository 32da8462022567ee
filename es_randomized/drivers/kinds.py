"""Which driver an experiment asks for."""

from functools import partial
from inspect import signature

from es_randomized.compilation import HERE, Compiler
from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import class_of
from es_randomized.drivers.around import Around
from es_randomized.drivers.averaged import Averaged
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.phased import phased
from es_randomized.drivers.restarted import with_ends
from es_randomized.errors import ConfigError


def driver_of(experiment: Experiment, share_with: Driver | None = None, compiler: Compiler = HERE) -> Driver:
    """The experiment made executable; a strategy is driven by `Evolution`, a run with phases by `Phased`.

    Args:
        share_with: whose plan and compiled programs it shares, if both are of one class; see program_sharing.py.
        compiler: of the device that it is planned for; this process computes on it by default.

    Raises:
        ConfigError: its driver cannot train its task.
        MemoryBudgetError: nothing fits the memory its plan allows.
    """
    while isinstance(share_with, Around):
        share_with = share_with.inner
    phases = experiment.phases
    made = _of_phases(experiment, share_with, compiler) if phases else _of_kind(experiment, share_with, compiler)
    return Averaged(made.experiment, made) if experiment.answer.average else made


def _of_phases(experiment: Experiment, share_with: Driver | None, compiler: Compiler) -> Driver:
    return with_ends(phased(experiment, partial(driver_of, compiler=compiler), share_with))


def _of_kind(experiment: Experiment, share_with: Driver | None, compiler: Compiler) -> Driver:
    cls = class_of("driver", experiment.driver.kind)
    driver: type[Driver] = cls if issubclass(cls, Driver) else Evolution
    if compiler is HERE:
        return driver.of(experiment, share_with)
    if "compiler" not in signature(driver.of).parameters:
        raise ConfigError(
            f"{driver.__name__} cannot be planned for another device than the one here; give its method `of` an argument compiler"
        )
    return driver.of(experiment, share_with, compiler)
