"""Which experiments share compiled programs: those that differ in nothing but numbers their programs take as arguments.

These are the seed and what drivers and objectives say with `without_arguments`. A strategy whose population is a matrix has
its numbers compiled in and shares the program that evaluates its members; a driver or strategy of the user's own shares
nothing, because nothing is known of what it compiles in.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import names
from es_randomized.config.sections import Answer, Budget, Evaluation
from es_randomized.config.yaml import dump
from es_randomized.drivers.driver import Driver

Maker: TypeAlias = Callable[[Experiment, Driver | None], Driver]


def programs_of(experiment: Experiment) -> str:
    """All that is compiled into an experiment's programs: equal texts, equal programs."""
    if experiment.phases:
        return repr([programs_of(phase) for phase in experiment.by_phase])
    if experiment.driver.kind in names("driver"):
        experiment = replace(
            experiment,
            driver=experiment.driver.without_arguments(),
            objective=experiment.objective.without_arguments(),
            seed=0,
            start_from=None,
            evaluation=Evaluation(),
            answer=Answer(),
            budget=Budget(),
        )
    tree = {name: value for name, value in dump(experiment).items() if name not in ("began", "start")}
    return repr(tree)  # with the kinds of all parts: classes of several modules may have one name


class Drivers:
    """Makes drivers of experiments; later ones share the programs of earlier ones where they can.

    Args:
        driver_of: makes one, given whose programs it shares.
        earlier: drivers made before.
    """

    def __init__(self, driver_of: Maker, earlier: Iterable[Driver] = ()) -> None:
        self._driver_of = driver_of
        self._made = {programs_of(driver.experiment): driver for driver in earlier}

    def of(self, experiment: Experiment) -> Driver:
        """The experiment made executable.

        Raises:
            ConfigError: its driver cannot train its task.
            MemoryBudgetError: nothing fits the memory its plan allows.
        """
        driver = self._driver_of(experiment, self._made.get(programs_of(experiment)))
        for each in (experiment, driver.experiment):  # as it was asked for, and as a run folder keeps it
            self._made.setdefault(programs_of(each), driver)
        return driver
