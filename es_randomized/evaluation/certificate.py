"""What a learned policy guarantees: its value against the worst input, beside the best that any policy can guarantee.

A policy with a random seed is a mixture of deterministic ones, so it is exploitable only as far as its distribution is.
"""

from typing import NamedTuple

from es_randomized.evaluation.evaluate import Score
from es_randomized.evaluation.statistics import Estimate
from es_randomized.tasks.measure import Measure
from es_randomized.tasks.task import Reference


class Certificate(NamedTuple):
    """A guarantee against every input.

    Attributes:
        value: the expected measure on the worst input, with its interval over seeds.
        optimum: the best guarantee there is, the exact minimax of the game.
        excess: how much worse the value is: a share of the optimum, or of shares their difference; with its interval.
    """

    value: Estimate
    optimum: float
    excess: Estimate


def certificate(score: Score) -> Certificate | None:
    """The guarantee of a scored policy; None where instances are a sample or no exact minimax is known."""
    optimum = minimax(score.references, score.measure)
    if not score.enumerated or optimum is None:
        return None
    measure, best = score.measure, score.measure.as_loss(optimum)
    if not measure.is_share and best <= 0:
        return None
    unit = 1.0 if measure.is_share else best
    ends = sorted((measure.as_loss(end) - best) / unit for end in (score.single.worst.low, score.single.worst.high))
    excess = (measure.as_loss(score.single.worst.value) - best) / unit
    return Certificate(score.single.worst, optimum, Estimate(excess, *ends))


def minimax(references: list[Reference], measure: Measure) -> float | None:
    """The best value against the worst input that is known exactly."""
    exact = [part.worst for part in references if part.kind == "exact" and part.worst is not None]
    return min(exact, key=measure.as_loss) if exact else None


def in_words(found: Certificate, measure: Measure) -> str:
    """One sentence for people."""
    low, high = (f"{100 * end:.1f}" for end in (found.excess.low, found.excess.high))
    unit = " points below" if measure.is_share else " % above" if not measure.higher_is_better else " % below"
    return (
        f"Guaranteed on every input: {measure.interval(found.value)}, {100 * found.excess.value:.1f} [{low}, {high}]{unit} "
        f"the minimax, {measure.text(found.optimum)}."
    )
