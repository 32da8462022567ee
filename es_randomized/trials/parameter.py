"""What one setting of a sweep may be."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from es_randomized.settings import settings
from es_randomized.trials.trial import Dotted


@settings
class Parameter:
    """What one setting may be.

    Attributes:
        values: these, whatever YAML can say: numbers, words, schedules, whole sections.
        low, high: or anything between these two, both possible.
        scale: of what is between: linear, or log, where every factor is as likely as any other of its size.
        whole: whole numbers only.
        along: other settings that change with this one, by dotted names: one value for each of `values`.
    """

    values: Annotated[list[Any], Field(min_length=1)] | None = None
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False
    along: dict[str, list[Any]] = Field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.along.items():
            if self.values is None or len(values) != len(self.values):
                raise ValueError(f"along: {name} needs one value for each of values: [...]")
        if self.values is not None:
            if self.low is not None or self.high is not None:
                raise ValueError("give values, or low and high, but not both")
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("give values: [...], or low and high with low < high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"scale: log needs low above 0, but it is {self.low:g}")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("whole: true needs whole numbers for low and high")

    @property
    def ends(self) -> tuple[float, float]:
        """Low and high, where there is no list of values."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def at(self, share: float) -> Any:
        """The value at a share in [0, 1) of the way, rounded to four digits, which is how names and tables show it."""
        if self.values is not None:
            return self.values[int(share * len(self.values))]
        low, high = self.ends[0] - self.whole / 2, self.ends[1] + self.whole / 2
        if self.scale == "log":
            return self.rounded(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
        return self.rounded(low + share * (high - low))

    def settings(self, name: str, value: Any) -> Dotted:
        """What a value means for an experiment; `name` is this setting's own."""
        if self.values is None:
            return {name: value}
        return {name: value} | {other: values[self.values.index(value)] for other, values in self.along.items()}

    def admits(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.values is not None:
            return value in self.values
        low, high = self.ends
        return isinstance(value, int | float) and low <= value <= high

    def rounded(self, value: float) -> float | int:
        """A number between low and high, as it is used."""
        low, high = self.ends
        if self.whole:
            return round(min(max(value, low), high))
        return min(max(float(f"{value:.4g}"), low), high)
