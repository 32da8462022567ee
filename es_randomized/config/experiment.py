"""An experiment: task + model + objective + driver (+ batch, budget, evaluation, plan, seed), all plain numbers."""

from typing import Annotated

from pydantic import Field, InstanceOf

from es_randomized.config.sections import Batch, Budget, Evaluation, Plan
from es_randomized.drivers.gradient_settings import GradientSettings
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.objectives.objective import Objective
from es_randomized.objectives.q_norm import QNorm
from es_randomized.settings import settings
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.tasks.task import Task


@settings
class Experiment:
    """Everything that determines a run. Two equal experiments give equal weights on one type of device."""

    task: InstanceOf[Task]
    model: InstanceOf[Model] = Field(default_factory=Transformer)
    objective: InstanceOf[Objective] = Field(default_factory=QNorm)
    batch: InstanceOf[Batch] = Field(default_factory=Batch)
    driver: InstanceOf[EvolutionSettings] | InstanceOf[GradientSettings] = Field(default_factory=Open_ES.Settings)
    budget: InstanceOf[Budget] = Field(default_factory=Budget)
    evaluation: InstanceOf[Evaluation] = Field(default_factory=Evaluation)
    plan: InstanceOf[Plan] = Field(default_factory=Plan)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def __post_init__(self) -> None:
        self.model.check(self.task.interface)
