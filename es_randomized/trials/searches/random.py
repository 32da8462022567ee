"""Points at random."""

from collections.abc import Iterator

import numpy as np

from es_randomized.settings import settings
from es_randomized.trials.search import Point, Search, Tried, first_new, text_of

TRIES_PER_POINT = 100  # to find one that is new


@settings
class Random(Search):
    """Different random points; more of them do not move the first ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs_points()

    def listed(self) -> list[Point]:
        assert self.points is not None
        points: dict[str, Point] = {}
        for point in self._with_repeats(self.points * TRIES_PER_POINT):
            points.setdefault(text_of(point), point)
            if len(points) == self.points:
                break
        return list(points.values())

    def next(self, tried: list[Tried]) -> Point | None:
        return first_new(self.listed(), tried)

    def _with_repeats(self, count: int) -> Iterator[Point]:
        for number in range(count):
            shares = np.random.default_rng([self.seed, number]).random(len(self.parameters))
            yield {
                name: parameter.at(float(share))
                for (name, parameter), share in zip(self.parameters.items(), shares, strict=True)
            }
