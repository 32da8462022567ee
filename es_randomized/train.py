"""The loop. It yields one `Step` per generation; when to stop, what to log and what to save are the caller's."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.strategies.strategy import State


class Step(NamedTuple):
    """What one generation did.

    Attributes:
        generation: its number.
        losses: raw losses, in id order, as the journal keeps them (`Driver.of_members` picks the members' own); of gradient
            descent the one objective of the batch.
        state: the driver's state after it.
    """

    generation: int
    losses: Float[np.ndarray, " loss"]
    state: State


def train(driver: Driver, evaluator: Evaluator, state: State, start: int = 0) -> Iterator[Step]:
    """Run generations `start`, `start + 1`, ... up to the experiment's budget, from the state before `start`."""
    for generation in range(start, driver.experiment.budget.generations):
        losses, state = driver.step(state, generation, evaluator)
        yield Step(generation, losses, state)
