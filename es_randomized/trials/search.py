"""The interface of a search: how the points of a sweep are chosen. `kind` is a file in searches/ or a module of yours."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import Field

from es_randomized.settings import settings
from es_randomized.trials.parameter import Parameter
from es_randomized.trials.trial import Dotted

Point = Dotted  # a value for every parameter, by its dotted name


class Tried(NamedTuple):
    """A point that was begun.

    Attributes:
        score: its mean over the training seeds, lower is better; infinite if one failed, None before all of them ended.
    """

    point: Point
    score: float | None


@settings
class Search(ABC):
    """How points are chosen. Settings of a search are fields of its class.

    Attributes:
        parameters: what is varied, by dotted names.
        points: how many to try, each with all training seeds.
        seed: of the choice.
    """

    parameters: Annotated[dict[str, Parameter], Field(min_length=1)]
    points: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def __post_init__(self) -> None:
        if "seed" in self.parameters:
            raise ValueError("training seeds are no parameter: list them under seeds")

    @abstractmethod
    def next(self, tried: list[Tried]) -> Point | None:
        """A point that is none of those tried; None when there is none left.

        Depends on the settings and on `tried` alone, so that a sweep that was interrupted goes on as it would have.
        """

    def listed(self) -> list[Point] | None:
        """Every point, if all are known beforehand; they are checked before anything is trained."""
        return None

    def total(self) -> int:
        """How many points there are, at most."""
        listed = self.listed()
        return (self.points or 0) if listed is None else len(listed)

    def needs_points(self) -> None:
        """Refuse to go on without end."""
        if self.points is None:
            raise ValueError("this kind of search needs points, the number of points to try")


def text_of(point: Point) -> str:
    """The same text for equal points."""
    return json.dumps(point, sort_keys=True)


def first_new(points: Iterable[Point], tried: list[Tried]) -> Point | None:
    """The first of some points that was not tried."""
    known = {text_of(one.point) for one in tried}
    return next((point for point in points if text_of(point) not in known), None)
