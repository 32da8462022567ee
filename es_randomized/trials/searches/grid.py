"""Every combination of values."""

import itertools

from es_randomized.settings import settings
from es_randomized.trials.search import Point, Search, Tried, first_new


@settings
class Grid(Search):
    """All combinations of the values of all parameters, the last parameter changing fastest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        between = [name for name, parameter in self.parameters.items() if parameter.values is None]
        if between:
            raise ValueError(f"a grid needs values: [...] for {between[0]}; or use kind: random")
        if self.points is not None:
            raise ValueError("a grid tries every combination; leave points out, or use kind: random")

    def listed(self) -> list[Point]:
        choices = [parameter.values or [] for parameter in self.parameters.values()]
        return [dict(zip(self.parameters, values, strict=True)) for values in itertools.product(*choices)]

    def next(self, tried: list[Tried]) -> Point | None:
        return first_new(self.listed(), tried)
