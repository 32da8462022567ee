"""An experiment: task + model + objective + driver (+ batch, budget, evaluation, plan, seed), all plain numbers."""

import math
from dataclasses import fields, replace
from functools import cached_property, partial
from typing import Annotated, Literal

from pydantic import Field

from es_randomized.config.kinds import OfKind, kind_of
from es_randomized.config.phase import DEFAULTS, Phase, ends
from es_randomized.config.restarts import Restarts, with_restarts
from es_randomized.config.sections import Answer, Batch, Budget, Evaluation, Plan, Target
from es_randomized.errors import ConfigError
from es_randomized.models.model import Model
from es_randomized.objectives.objective import Objective
from es_randomized.settings import DriverSettings, settings
from es_randomized.tasks.measure import Measure
from es_randomized.tasks.task import Task

MODEL, OBJECTIVE, DRIVER = OfKind("model"), OfKind("objective"), OfKind("driver")


@settings
class Experiment:
    """Everything that determines a run. Two equal experiments give equal weights on one type of device.

    Its sections hold for the whole run; a run with `phases` trains by them, and is checked and evaluated as the sections say.

    Attributes:
        start_from: a checkpoint, a run folder or an address, whose answer is the first weights; `{seed}` in it stands for the
            seed of this run. Read once, when the run begins. Fresh random weights by default.
        restarts: begin anew several times, with populations that grow; makes the phases.
        phases: parts of the run with settings of their own, in order.
    """

    task: Annotated[Task, OfKind("task")]
    model: Annotated[Model, MODEL] = Field(default_factory=partial(MODEL.object_of, {}))
    objective: Annotated[Objective, OBJECTIVE] = Field(
        default_factory=partial(OBJECTIVE.object_of, DEFAULTS["objective"])
    )
    batch: Batch = Field(default_factory=Batch)
    driver: Annotated[DriverSettings, DRIVER] = Field(default_factory=partial(DRIVER.object_of, {}))
    budget: Budget = Field(default_factory=Budget)
    answer: Answer = Field(default_factory=Answer)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    plan: Plan = Field(default_factory=Plan)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    start_from: str | None = None
    restarts: Restarts | None = None
    phases: list[Phase] = Field(default_factory=list)

    def __post_init__(self) -> None:
        self.model.check(self.task.interface)
        if self.budget.until:
            _check_possible(self.budget.until, self.task.measure)
        check_objective(self.objective, self.task)
        if self.restarts:
            object.__setattr__(self, "phases", with_restarts(self.phases, self.restarts, self.driver))
        _ = self.by_phase

    @property
    def first(self) -> int:
        """Its first generation: 0 but for the experiment of a phase."""
        return 0

    @cached_property
    def by_phase(self) -> tuple["PhaseExperiment", ...]:
        """An experiment for every phase; none where the run has no phases."""
        if not self.phases:
            return ()
        after = ends([phase.share for phase in self.phases], self.budget.generations)
        of_run = ("budget", "answer", "start_from", "restarts", "phases")
        same = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in of_run}
        return tuple(
            PhaseExperiment(
                **same | phase.changes, budget=Budget(generations=end - began), began=began, start=phase.start
            )
            for phase, began, end in zip(self.phases, [0, *after], after, strict=False)
        )

    def phase_at(self, generation: int) -> int:
        """The number of the phase of a generation; of those past the end the last one."""
        return max(number for number, phase in enumerate(self.by_phase) if phase.first <= generation)

    @property
    def without_plan(self) -> "Experiment":
        """The same with nothing said of how generations are cut up, which follows the machine."""
        return replace(self, plan=Plan(), phases=[replace(phase, plan=None) for phase in self.phases])


def check_objective(objective: Objective, task: Task) -> None:
    """Refuse an objective that needs to know more of its task than the task says.

    Raises:
        ConfigError: it takes powers of losses without a lower bound, or looks at kinds of inputs that it cannot use.
    """
    name = f"objective.kind: {kind_of(objective)}"
    if objective.takes_powers and not math.isfinite(task.loss_bounds.low):
        raise ConfigError(
            f"{name} takes powers of losses above their lower bound, and {type(task).__name__} has none; declare loss_bounds "
            "in the task, or use worst_case, cvar, log_sum_exp or expected"
        )
    if objective.takes_kinds:
        kinds = task.kinds
        if kinds is None:
            raise ConfigError(
                f"{name} looks at the kinds of inputs, and {type(task).__name__} has none; declare the property kinds in the "
                "task, an InputKinds (es_randomized.input_kinds), or use another objective, such as q_norm"
            )
        objective.check(kinds)


def _check_possible(target: Target, measure: Measure) -> None:
    low, high = measure.bounds
    for level, value in target.levels.items():
        if not low <= value <= high:
            hint = "; shares are given as fractions" if measure.is_share else ""
            raise ConfigError(
                f"budget.until.{level} is {value:g}, but {measure.noun} is between {low:g} and {high:g}{hint}"
            )


@settings
class PhaseExperiment(Experiment):
    """One phase of a run as an experiment. Its generations have the numbers that they have in the run.

    Attributes:
        began: its first generation; its budget has so many from there on.
        start: see `Phase`.
    """

    began: int
    start: Literal["state", "weights", "anew"]

    @property
    def first(self) -> int:
        return self.began
