"""The driver of a run with phases: one driver for each, and what goes over from one to the next."""

from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Array, Float

from es_randomized.compilation import HERE, Compiler
from es_randomized.config.experiment import Experiment
from es_randomized.drivers.driver import Driver, Evaluator, Program
from es_randomized.drivers.ledger import Cost
from es_randomized.drivers.program_sharing import Drivers, Maker
from es_randomized.errors import ConfigError
from es_randomized.strategies.optimizers import beside_schedules
from es_randomized.strategies.strategy import PartsOf, State


class PhasedState(TypedDict):
    """What a generation needs of the past.

    Attributes:
        phase: whose state it is: the first one's before generation 0, later the phase of the generation before.
        state: of that phase's driver.
    """

    phase: Any
    state: State


@dataclass(frozen=True)
class Phased(Driver):
    """Drives every generation by the driver of its phase. Build it with `phased`."""

    experiment: Experiment
    drivers: tuple[Driver, ...]

    @classmethod
    def of(cls, experiment: Experiment, share_with: Driver | None = None, compiler: Compiler = HERE) -> "Phased":
        raise NotImplementedError("it needs to know how drivers are made; see phased")

    def at(self, generation: int) -> Driver:
        return self.drivers[self.experiment.phase_at(generation)].at(generation)

    @property
    def anew(self) -> dict[int, int]:
        """The first generation of every phase, but for the first one, that begins anew; by its number."""
        phases = enumerate(self.experiment.phases)
        return {number: self._first(number) for number, phase in phases if number and phase.start == "anew"}

    def anew_since(self, generation: int) -> int:
        return max([0, *(first for first in self.anew.values() if first <= generation)])

    def own_state(self, state: PhasedState, generation: int) -> State:
        number = self.experiment.phase_at(generation)
        return self.drivers[number].own_state(self._begun(state, number), generation)

    @property
    def title(self) -> str:
        return "; then ".join(f"from {self._first(number)} on {driver.title}" for number, driver in self._numbered())

    @property
    def parameters(self) -> int:
        return self.drivers[0].parameters

    @property
    def losses_per_generation(self) -> int:
        return max(driver.losses_per_generation for driver in self.drivers)

    def of_members(self, losses: Float[np.ndarray, " loss"], generation: int) -> Float[np.ndarray, " member"]:
        driver = self.at(generation)
        return driver.of_members(losses[: driver.losses_per_generation], generation)

    def first_with_members(self) -> int | None:
        firsts = (driver.first_with_members() for driver in self.drivers)
        return next((first for first in firsts if first is not None), None)

    def init(self) -> PhasedState:
        return _of_phase(0, self.drivers[0].init())

    def start(self, weights: Float[Any, " param"]) -> PhasedState:
        return _of_phase(0, self.drivers[0].start(weights))

    def like(self, generation: int) -> PhasedState:
        number = self.experiment.phase_at(max(0, generation - 1))
        return _of_phase(number, self.drivers[number].like(generation))

    def step(
        self, state: PhasedState, generation: int, evaluator: Evaluator
    ) -> tuple[Float[np.ndarray, " loss"], PhasedState]:
        number = self.experiment.phase_at(generation)
        losses, after = self.drivers[number].step(self._begun(state, number), generation, evaluator)
        filled = np.full(self.losses_per_generation, np.nan, np.float32)  # a journal's records have one size
        filled[: len(losses)] = losses
        return filled, _of_phase(number, after)

    def replay(
        self,
        state: PhasedState,
        generation: int,
        losses: Float[np.ndarray, " loss"],
        parts_of: PartsOf | None = None,
    ) -> PhasedState:
        number = self.experiment.phase_at(generation)
        driver = self.drivers[number]
        own = losses[: driver.losses_per_generation]
        return _of_phase(number, driver.replay(self._begun(state, number), generation, own, parts_of))

    def centre(self, state: PhasedState) -> Float[Array, " param"]:
        return self.drivers[int(state["phase"])].centre(state["state"])

    def cost(self) -> Cost:
        return self.drivers[0].cost()

    def cost_of(self, generations: int) -> Cost:
        total = Cost(0, 0, 0)
        for number, driver in self._numbered():
            done = max(0, generations - self._first(number))
            total = total.plus(driver.cost_of(min(done, driver.experiment.budget.generations)))
        return total

    def programs(self) -> list[Program]:
        return self.drivers[0].programs()

    def describe(self) -> dict[str, str]:
        return self.drivers[0].describe()

    def _numbered(self) -> list[tuple[int, Driver]]:
        return list(enumerate(self.drivers))

    def _first(self, number: int) -> int:
        return self.drivers[number].experiment.first

    def _begun(self, state: PhasedState, number: int) -> State:
        """The state that a phase goes on from, which may be the end of the phase before it."""
        before, driver = int(state["phase"]), self.drivers[number]
        if before == number:
            return state["state"]
        match self.experiment.phases[number].start:
            case "anew":
                return driver.init()
            case "weights":
                return driver.start(self.drivers[before].centre(state["state"]))
            case "state":
                fresh = driver.start(self.drivers[before].centre(state["state"]))
                return driver.carry(state["state"], fresh)


def phased(experiment: Experiment, driver_of: Maker, share_with: Driver | None = None) -> Phased:
    """The driver of an experiment with phases. Phases share programs where they can, and the programs of another such driver.

    Args:
        driver_of: makes the driver of a phase.

    Raises:
        ConfigError: a phase cannot go on from the state of the one before it, or has weights of other shapes.
        MemoryBudgetError: nothing fits the memory that a phase's plan allows.
    """
    shared = Drivers(driver_of, share_with.drivers if isinstance(share_with, Phased) else ())
    drivers = tuple(shared.of(part) for part in experiment.by_phase)
    for number in range(1, len(drivers)):
        _check_follows(number, drivers[number - 1], drivers[number], experiment.phases[number].start)
    planned = [
        replace(phase, plan=driver.experiment.plan) for phase, driver in zip(experiment.phases, drivers, strict=True)
    ]
    return Phased(replace(experiment, phases=planned), drivers)


def _of_phase(number: int, state: State) -> PhasedState:
    return PhasedState(phase=np.int32(number), state=state)


def _check_follows(number: int, before: Driver, after: Driver, start: str) -> None:
    where = f"phases.{number}"
    if before.parameters != after.parameters:
        raise ConfigError(
            f"{where}: its task and model have {after.parameters:,} weights, but the phase before has {before.parameters:,}; "
            "change nothing that changes tokens, outputs or the shapes of weights"
        )
    if start == "state" and _structure(before) != _structure(after):
        raise ConfigError(
            f"{where}.start: {after.experiment.driver.kind} cannot go on from the state of {before.experiment.driver.kind}; "
            "set start: weights"
        )


def _structure(driver: Driver) -> list[object]:
    """What `carry` hands over, for comparison."""
    settings = driver.experiment.driver
    kinds: list[object] = [settings.kind, getattr(getattr(settings, "optimizer", None), "kind", None)]
    return kinds + [(np.shape(leaf), np.asarray(leaf).dtype) for leaf in beside_schedules(driver.init())]
