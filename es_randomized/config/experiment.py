"""An experiment: task + model + objective + driver (+ batch, budget, evaluation, plan, seed), all plain numbers."""

import math
from functools import partial
from typing import Annotated

from pydantic import Field

from es_randomized.config.kinds import OfKind, kind_of
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

    Attributes:
        start_from: a checkpoint, a run folder or an address, whose answer is the first weights; `{seed}` in it stands for the
            seed of this run. Read once, when the run begins. Fresh random weights by default.
    """

    task: Annotated[Task, OfKind("task")]
    model: Annotated[Model, MODEL] = Field(default_factory=partial(MODEL.object_of, {}))
    objective: Annotated[Objective, OBJECTIVE] = Field(default_factory=partial(OBJECTIVE.object_of, {"kind": "q_norm"}))
    batch: Batch = Field(default_factory=Batch)
    driver: Annotated[DriverSettings, DRIVER] = Field(default_factory=partial(DRIVER.object_of, {}))
    budget: Budget = Field(default_factory=Budget)
    answer: Answer = Field(default_factory=Answer)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    plan: Plan = Field(default_factory=Plan)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    start_from: str | None = None

    def __post_init__(self) -> None:
        self.model.check(self.task.interface)
        if self.budget.until:
            _check_possible(self.budget.until, self.task.measure)
        check_objective(self.objective, self.task)


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
