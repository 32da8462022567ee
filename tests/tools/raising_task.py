"""A task whose code fails after a while, as a user's may."""

import jax
import numpy as np

from es_randomized.settings import settings
from es_randomized.tasks import cycle_colouring
from es_randomized.tasks.task import Outcome

CALLS = {"left": 300}  # more than the check of the first centre takes in the coordinator


@settings
class RaisingColouring(cycle_colouring.CycleColouring):
    """Cycle colouring that raises after a number of rollouts in one process."""

    def rollout(self, policy: object, observations: object) -> Outcome:
        outcome = super().rollout(policy, observations)
        checked = jax.pure_callback(_count_down, jax.ShapeDtypeStruct(outcome.loss.shape, np.float32), outcome.loss)
        return outcome._replace(loss=checked)


def _count_down(loss: np.ndarray) -> np.ndarray:
    CALLS["left"] -= 1
    if CALLS["left"] < 0:
        raise ZeroDivisionError("the user's own mistake")
    return np.asarray(loss)
