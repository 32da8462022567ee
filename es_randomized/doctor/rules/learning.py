"""How far the run has come: whether more generations would do."""

import numpy as np

from es_randomized.doctor.finding import Finding, between, count_times
from es_randomized.doctor.measured import Measured

ENOUGH = 6  # checks from which a trend can be read


def still_learning(measured: Measured) -> Finding | None:
    """Held-out values were still getting better when the budget ended. Weak: it says that nothing is wrong."""
    if len(measured.held_out) < ENOUGH:
        return None
    measure, budget = measured.experiment.task.measure, measured.experiment.budget.generations
    values = np.array([measure.as_loss(average) for average, _ in measured.held_out])
    third = len(values) // 3
    before, late = values[third : 2 * third].mean(), values[-third:].mean()
    whole = values[0] - values.min()
    share = float((before - late) / whole) if whole > 0 else 0.0
    return Finding(
        "still learning",
        0.35 * between(share, 0.02, 0.1),
        f"the last third of the checks is better than the one before by {share:.0%} of all that was learned",
        "it has not come to an end",
        "budget.generations",
        count_times(budget, 2),
    )
