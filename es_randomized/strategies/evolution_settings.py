"""The part of the section `driver:` that all evolution strategies have."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from es_randomized.schedules import Rate
from es_randomized.settings import DriverSettings, settings
from es_randomized.strategies.optimizers import Optimizer

Shaping = Literal["default", "centred_rank", "standardise", "normalise", "weights", "identity"]


@settings
class EvolutionSettings(DriverSettings):
    """An evolution strategy. Its own options are in the `Settings` of its class, derived from these.

    Attributes:
        kind: name of the strategy; `es-randomized strategies` lists them. Or the module of a strategy of your own.
        population: members per generation.
        std: step size, the standard deviation of a member around the centre: a number, or a schedule for strategies
            that take one. Strategies that adapt it themselves start from it.
        optimizer: of the centre, for strategies that take one.
        temperature: sample actions while training, from the policy's outputs divided by this: the lower, the surer. All
            members meet the same luck, new in every generation. The mean over it changes smoothly with the weights, where
            the loss of the best actions has steps. Evaluation and held-out checks take the best. None: training does too.
        non_finite: what happens to NaN and infinite losses: ranked worst and counted, or the run stops.
    """

    kind: str
    population: Annotated[int, Field(ge=2)] = 256
    std: Rate = 0.05
    optimizer: Optimizer = Field(default_factory=Optimizer)
    temperature: Rate | None = None
    non_finite: Literal["rank_worst", "stop"] = "rank_worst"

    distributed: ClassVar[bool] = True  # members may be evaluated anywhere

    def without_arguments(self) -> "EvolutionSettings":
        temperature = 1.0 if self.temperature else None  # without it programs leave it out
        return replace(self, std=1.0, optimizer=replace(self.optimizer, learning_rate=1.0), temperature=temperature)


@settings
class ShapedSettings(EvolutionSettings):
    """A strategy that need not see losses as they are.

    Attributes:
        shaping: what it sees instead of raw losses; default is the strategy's own.
    """

    shaping: Shaping = "default"
