"""The section `driver:` of an experiment trained by gradient descent."""

from typing import ClassVar, Literal

from pydantic import Field

from es_randomized.settings import settings
from es_randomized.strategies.optimizers import Optimizer


@settings
class GradientSettings:
    """Gradient descent on the objective of every generation's batch.

    Attributes:
        kind: `gradient`.
        optimizer: of the weights.
        non_finite: a NaN or infinite loss or gradient stops the run, always: one weight vector has no rank to lose.
    """

    kind: Literal["gradient"] = "gradient"
    optimizer: Optimizer = Field(default_factory=Optimizer)
    non_finite: Literal["stop"] = "stop"

    distributed: ClassVar[bool] = False  # one gradient is one program on one device
