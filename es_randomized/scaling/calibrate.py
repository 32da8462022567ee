"""The simulator's costs, from what one worker was measured to cost: nothing is fitted to runs with several."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import median
from typing import Any

from es_randomized.scaling.generation import Generation
from es_randomized.scaling.instrument import InstrumentedEvaluator, crowded
from es_randomized.scaling.simulation.costs import Costs, Linear

CROWD = 500  # workers beside the first, to measure how a turn gets longer
SAMPLES = 400  # chunk times that are kept


class Calibration:
    """Generations of one worker alone, with the coordinator's update and with the worker's, for one or two populations."""

    def __init__(self) -> None:
        self._generations: dict[tuple[int, bool], list[Generation]] = {}
        self._growth, self._message = 0.0, 0

    def observe(self, evaluator: InstrumentedEvaluator, seconds: float) -> None:
        """Add generations of the first worker alone, some seconds for each placement."""
        evaluator.use_first(1)
        strategy = evaluator.evolution.strategy
        for here in (True, False) if strategy.parts else (True,):
            evaluator.here = here
            self.add(strategy.population, here, evaluator.generations(seconds), evaluator.message_bytes)
        evaluator.here = None

    def add(self, population: int, here: bool, generations: list[Generation], message: int) -> None:
        """Add generations of one worker alone, whose distribution had so many bytes."""
        self._generations.setdefault((population, here), []).extend(generations)
        self._message = message

    def observe_crowd(self, evaluator: InstrumentedEvaluator, seconds: float) -> None:
        """Find how much longer a turn takes for every worker."""
        evaluator.use_first(1)
        evaluator.here = True
        alone = evaluator.generations(seconds)
        with crowded(evaluator, CROWD):
            many = evaluator.generations(seconds)
        evaluator.here = None
        self._growth = max(0.0, median(map(_per_turn, many)) - median(map(_per_turn, alone))) / CROWD

    def costs(self, evolution: Any) -> Costs:
        """The costs of `evolution`, whose chunks are those of the observed experiments."""
        populations = sorted({population for population, _ in self._generations})
        few, strategy = populations[0], evolution.strategy
        parts = strategy.parts
        alone = self._generations[few, True]
        there = self._generations.get((few, False), [])
        issue = _per_call(alone, "issue")
        receive = max(0.0, median(_all(alone, "next")))
        costs = Costs(
            members=evolution.chunk_rows * strategy.members_per_row,
            chunk=tuple(_thinned(_all(alone, "chunks"))),
            parameters=strategy.parameters,
            members_per_row=strategy.members_per_row,
            parts=parts.across if parts else 1,
            before=median(generation.before for generation in alone),
            here=self._line("after", True),
            told=self._line("after", False) if parts else self._line("after", True),
            turn=Linear(median(generation.turn / generation.turns for generation in alone), self._growth),
            issue=issue,
            collect=_per_call(alone, "collect"),
            receive=receive,
            background=max(0.0, _per_call(alone, "background")),
            latency=max(0.0, median(_all(alone, "first")) - issue - receive),
            message=self._message,
            sums=4 * parts.shape[0] * parts.shape[1] if parts and there else 0,
        )
        return replace(costs, part=self._line("parts", False, costs.of_part)) if parts else costs

    def _line(self, what: str, here: bool, members: Callable[[int], int] = int) -> Linear:
        """How what was measured grows with its members; in proportion to them where there was but one number of them.

        Args:
            members: how many of a population matter; by default all.
        """
        points: dict[int, float] = {}
        for (population, by_coordinator), generations in sorted(self._generations.items()):
            if by_coordinator is here:
                values = _all(generations, what) if what == "parts" else [getattr(one, what) for one in generations]
                points[members(population)] = median(values)
        measured = list(points.items())
        if len(measured) == 1:
            size, seconds = measured[0]
            return Linear(0.0, seconds / size)
        return Linear.through(measured[0], measured[-1])


def _all(generations: Iterable[Generation], what: str) -> list[float]:
    return [value for generation in generations for value in getattr(generation, what)] or [0.0]


def _per_call(generations: list[Generation], what: str) -> float:
    return median(getattr(generation, what) / generation.calls for generation in generations)


def _per_turn(generation: Generation) -> float:
    return (generation.turn + generation.issue + generation.collect) / generation.turns


def _thinned(values: list[float]) -> list[float]:
    step = max(1, -(-len(values) // SAMPLES))
    return sorted(values)[::step]
