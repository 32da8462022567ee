"""When training may end before its budget does: a target is reached, or the weights no longer become better.

Decided from held-out checks alone, so that a run that was resumed ends where one without a break would.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from es_randomized.config.sections import Budget, Plateau, Target
from es_randomized.tasks.measure import Measure

Check = Mapping[str, Any]  # a row of metrics with held_out_* numbers
Ending = Literal["target reached", "plateau"]


def ending(budget: Budget, measure: Measure, checks: Sequence[Check]) -> Ending | None:
    """Why training ends now, if it does.

    Args:
        checks: all held-out checks so far, in order.
    """
    if budget.until and _reached(budget.until, measure, checks):
        return "target reached"
    if budget.plateau and _flat(budget.plateau, measure, checks):
        return "plateau"
    return None


def _reached(target: Target, measure: Measure, checks: Sequence[Check]) -> bool:
    last = checks[-target.patience :]
    return len(last) == target.patience and all(
        measure.as_loss(check[f"held_out_{level}"]) <= measure.as_loss(wanted)
        for check in last
        for level, wanted in target.levels.items()
    )


def _flat(plateau: Plateau, measure: Measure, checks: Sequence[Check]) -> bool:
    losses = [float(measure.as_loss(check[f"held_out_{plateau.level}"])) for check in checks]
    before, last = losses[: -plateau.checks], losses[-plateau.checks :]
    return bool(before) and min(last) >= min(before)
