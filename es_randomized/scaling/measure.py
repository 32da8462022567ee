"""Scaling, measured: one evaluator with some of its workers after the other, repetitions interleaved."""

import random
import statistics
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from es_randomized.scaling.generation import Generation
from es_randomized.scaling.instrument import InstrumentedEvaluator

Case = TypeVar("Case", bound=Hashable)
Numbers = dict[str, float]  # measured, by what they are

RATE = "members per second"


def interleaved(
    cases: Sequence[Case], measure: Callable[[Case], Numbers], repetitions: int, between: Callable[[int], None]
) -> dict[Case, list[Numbers]]:
    """Measure every case once in every repetition, each time in another order.

    Args:
        between: called before each repetition with its number.
    """
    order, rows = random.Random(0), {case: list[Numbers]() for case in cases}
    for repetition in range(repetitions):
        between(repetition)
        for case in order.sample(list(cases), len(cases)):
            rows[case].append(measure(case))
    return rows


def measured(evaluator: InstrumentedEvaluator, workers: int, seconds: float, here: bool | None) -> Numbers:
    """What generations cost with the first so many workers.

    Args:
        here: whether the coordinator computes updates; None: as the evaluator decides.
    """
    evaluator.use_first(workers)
    evaluator.here = here
    return row_of(evaluator.generations(seconds), evaluator.evolution.strategy.population, workers)


def row_of(generations: list[Generation], members: int, workers: int) -> Numbers:
    """Rates are means over generations, everything else is a median."""

    def of(value: Callable[[Generation], float]) -> float:
        return float(statistics.median(map(value, generations)))

    seconds = statistics.fmean(generation.seconds for generation in generations)
    return {
        "generations per second": 1 / seconds,
        RATE: members / seconds,
        "seconds of a chunk": of(lambda one: statistics.fmean(one.chunks)),
        "seconds of workers": of(lambda one: one.computed),
        "workers busy": of(lambda one: one.computed / one.seconds) / workers,
        "seconds of the coordinator": of(lambda one: one.coordinator),
        "seconds of the coordinator in steps of workers": of(lambda one: one.turn + one.issue + one.collect),
        "seconds of its other threads": of(lambda one: one.background),
        "calls": of(lambda one: one.calls),
        "messages": 2 * of(lambda one: one.calls),
        "bytes down": of(lambda one: one.down),
        "bytes up": of(lambda one: one.up),
    }


def spread(values: Sequence[float]) -> Numbers:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def spreads(rows: Sequence[Numbers]) -> dict[str, Numbers]:
    """The same for every column of the repetitions of a case."""
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def efficiency(one: Sequence[Numbers], many: Sequence[Numbers], workers: int) -> Numbers:
    """Members per second and worker against those of one worker, repetition by repetition."""
    return spread([theirs[RATE] / its[RATE] / workers for its, theirs in zip(one, many, strict=True)])


def doubling(most: int) -> list[int]:
    """1, 2, 4, ... and `most`."""
    return sorted({most, *(2**power for power in range(most.bit_length()))})
