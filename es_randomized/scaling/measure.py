"""Scaling, measured: one evaluator with some of its workers after the other, repetitions interleaved."""

import random
import statistics
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from es_randomized.scaling.instrument import Generation, InstrumentedEvaluator

Case = TypeVar("Case", bound=Hashable)
Row = dict[str, float]

RATE = "members per second"


def interleaved(
    cases: Sequence[Case], measure: Callable[[Case], Row], repetitions: int, between: Callable[[int], None]
) -> dict[Case, list[Row]]:
    """Measure every case once in every repetition, each time in another order.

    Args:
        between: called before each repetition with its number.
    """
    order, found = random.Random(0), {case: list[Row]() for case in cases}
    for repetition in range(repetitions):
        between(repetition)
        for case in order.sample(list(cases), len(cases)):
            found[case].append(measure(case))
    return found


def measured(evaluator: InstrumentedEvaluator, workers: int, seconds: float, here: bool | None) -> Row:
    """What generations cost with the first so many workers.

    Args:
        here: whether the coordinator computes updates; None: as the evaluator decides.
    """
    evaluator.using(evaluator.everyone[:workers])
    evaluator.here = here
    return row_of(evaluator.generations(seconds), evaluator.evolution.strategy.population, workers)


def row_of(found: list[Generation], members: int, workers: int) -> Row:
    """Rates are means over generations, everything else is a median."""

    def of(value: Callable[[Generation], float]) -> float:
        return float(statistics.median(map(value, found)))

    seconds = statistics.fmean(each.seconds for each in found)
    return {
        "generations per second": 1 / seconds,
        RATE: members / seconds,
        "seconds of a chunk": of(lambda each: statistics.fmean(each.chunks)),
        "seconds of workers": of(lambda each: each.computed),
        "workers busy": of(lambda each: each.computed / each.seconds) / workers,
        "seconds of the coordinator": of(lambda each: each.coordinator),
        "seconds of the coordinator in steps of workers": of(lambda each: each.turn + each.issue + each.collect),
        "seconds of its other threads": of(lambda each: each.background),
        "calls": of(lambda each: each.calls),
        "messages": 2 * of(lambda each: each.calls),
        "bytes down": of(lambda each: each.down),
        "bytes up": of(lambda each: each.up),
    }


def spread(values: Sequence[float]) -> Row:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def spreads(rows: Sequence[Row]) -> dict[str, Row]:
    """The same for every column of the repetitions of a case."""
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def efficiency(one: Sequence[Row], many: Sequence[Row], workers: int) -> Row:
    """Members per second and worker against those of one worker, repetition by repetition."""
    return spread([theirs[RATE] / its[RATE] / workers for its, theirs in zip(one, many, strict=True)])


def doubling(most: int) -> list[int]:
    """1, 2, 4, ... and `most`."""
    return sorted({most, *(2**power for power in range(most.bit_length()))})
