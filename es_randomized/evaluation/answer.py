"""What a run answers with: of all candidates its driver keeps, the best on held-out draws, which evaluation does not use."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.drivers.driver import Driver
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.strategies.strategy import State


class Answer(NamedTuple):
    """The weights a run answers with.

    Attributes:
        weights: flat.
        what: which candidate they are, for people.
        choice: how they were chosen, as evaluation.json has it; nothing where there was one candidate only.
    """

    weights: Float[Array, " param"]
    what: str
    choice: Mapping[str, object]


def answer_of(driver: Driver, state: State, outcomes: Outcomes | None = None) -> Answer:
    """The best candidate by `answer.by` of the experiment; of equal ones the centre, or else the first.

    Args:
        outcomes: runs policies for held-out checks; made here by default.
    """
    candidates: dict[str, Any] = driver.answers(state)
    if len(candidates) == 1:
        ((what, weights),) = candidates.items()
        return Answer(weights, what, {})
    check, by, measure = (
        HeldOut(driver.experiment, outcomes),
        driver.experiment.answer.by,
        driver.experiment.task.measure,
    )
    held_out = {name: check(jnp.asarray(weights))[f"held_out_{by}"] for name, weights in candidates.items()}
    finite = {name: value for name, value in held_out.items() if math.isfinite(value)}
    kept = min(candidates, key=lambda name: measure.as_loss(finite[name]) if name in finite else math.inf)
    choice = {"kept": kept, "by": by, "held_out": {name: finite.get(name) for name in candidates}}
    return Answer(jnp.asarray(candidates[kept]), kept, choice)
