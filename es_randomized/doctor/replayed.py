"""A run's generations once more, from its journal: states and losses, nothing evaluated."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.drivers.driver import Driver
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.restore import first, nearest
from es_randomized.strategies.strategy import State

SECONDS = 60.0  # of this process's time, after which the middle of a long run is left out


class Replayed(NamedTuple):
    """One generation.

    Attributes:
        generation: its number.
        before, after: states.
        losses: as the journal keeps them.
    """

    generation: int
    before: State
    losses: Float[np.ndarray, " loss"]
    after: State


def replayed(folder: RunFolder, driver: Driver, seconds: float = SECONDS) -> Iterator[Replayed]:
    """The generations of a run in order, from the earliest state that is known on.

    What cannot be replayed in `seconds` of computing is left out, up to the newest snapshot before the last generation: of a
    long run, and above all of a long gradient run, whose steps are computed again, the middle.
    """
    losses = folder.recorded(driver).losses
    generation, state = first(folder, driver)
    began = time.process_time()
    jumped = False
    while generation < len(losses):
        if not jumped and time.process_time() - began > seconds:
            jumped = True
            later, kept = nearest(folder, driver, len(losses) - 1)
            if later > generation:
                generation, state = later, kept
        after = driver.replay(state, generation, losses[generation])
        yield Replayed(generation, state, losses[generation], after)
        generation, state = generation + 1, after
