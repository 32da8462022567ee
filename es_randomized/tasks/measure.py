"""What a task is measured by: the number that its tables, plots and comparisons are about, and how people read it."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int, Shaped

if TYPE_CHECKING:
    from es_randomized.tasks.task import Outcome

NO_BOUND = "no bound known"
Value = TypeVar("Value", float, np.ndarray)


class Bounds(NamedTuple):
    """What values are possible, both ends included; an end is infinite where none is known."""

    low: float = -math.inf
    high: float = math.inf


UNBOUNDED = Bounds()


@dataclass(frozen=True)
class Measure:
    """What is made of the outcomes of a task.

    Attributes:
        name: success, loss, or what users call their reward.
        unit: of the values. "%" says that they are shares in [0, 1], which people read in percent.
        bounds: of the values.
        higher_is_better: of a measure that is not success: its values are the losses times -1.
    """

    name: str = "loss"
    unit: str = "loss"
    bounds: Bounds = UNBOUNDED
    higher_is_better: bool = False

    def values(self, outcome: "Outcome") -> Shaped[np.ndarray, "*shape"]:
        """Of every outcome, in the shape it has: `[variant, case]`, or `[instance, run]` of an evaluation."""
        if self.counts_successes:
            return np.asarray(outcome.success)
        losses = np.asarray(outcome.loss)
        return -losses if self.higher_is_better else losses

    @property
    def counts_successes(self) -> bool:
        """Whether values are right or wrong answers, on which several runs can vote."""
        return self.name == "success"

    @property
    def is_share(self) -> bool:
        """Whether values are shares, which people read in percent."""
        return self.unit == "%"

    # Which way is better

    @property
    def worst_level(self) -> float:
        """The quantile level of the instance at the worst 5 %."""
        return 0.05 if self.higher_is_better else 0.95

    def worst(self, values: Float[np.ndarray, "*shape"]) -> float:
        """The worst of some values."""
        return float(values.min() if self.higher_is_better else values.max())

    def worst_first(self, values: Float[np.ndarray, " instance"]) -> Int[np.ndarray, " instance"]:
        """Places of values from the worst to the best, equal ones in their order."""
        return np.argsort(values if self.higher_is_better else -values, kind="stable")

    def best(self, values: Float[np.ndarray, " instance"]) -> int:
        """The place of the best value, the first of equal ones."""
        return int(np.argmax(values if self.higher_is_better else -values))

    def as_loss(self, values: Value) -> Value:
        """The lower-is-better form: what is missing to 1 of a share, else the value times -1. Undoes itself."""
        if not self.higher_is_better:
            return values
        return 1 - values if self.is_share else -values

    @property
    def loss_form(self) -> "Measure":
        """The measure of what `as_loss` returns."""
        if not self.higher_is_better:
            return self
        bounds = Bounds(self.as_loss(self.bounds.high), self.as_loss(self.bounds.low))
        if self.is_share:
            return Measure("failure" if self.counts_successes else f"1 - {self.name}", "%", bounds)
        return Measure(f"{self.name} × (-1)", f"{self.unit} × (-1)", bounds)

    # How people read it

    @property
    def scale(self) -> int:
        """What values are multiplied by in a plot."""
        return 100 if self.is_share else 1

    @property
    def noun(self) -> str:
        """What a value is called: success, total steps."""
        return self.name if self.is_share else self.unit

    @property
    def percent_sign(self) -> str:
        """What the name of an axis ends in: (%), or nothing."""
        return " (%)" if self.is_share else ""

    @property
    def label(self) -> str:
        """Of an axis or a column: success in %, total steps (lower is better)."""
        if self.counts_successes:
            return "success in %"
        better = "higher" if self.higher_is_better else "lower"
        return f"{self.noun}{' in %' if self.is_share else ''} ({better} is better)"

    @property
    def limits(self) -> tuple[float, float] | None:
        """Of an axis, with room for a line at 100 %; None where the values decide."""
        return (0.0, 103.0) if self.is_share else None

    def text(self, value: float) -> str:
        """A value in the unit of the label, without it."""
        return percent(value) if self.is_share else number(value)

    def with_unit(self, value: float) -> str:
        """A value that stands alone."""
        return f"{self.text(value)} %" if self.is_share else self.text(value)

    def change(self, value: float) -> str:
        """A difference of two values, with its sign."""
        return f"{100 * value:+.1f}" if self.is_share else f"{'+' if value >= 0 else ''}{number(value)}"

    def interval(self, estimate: tuple[float, float | None, float | None]) -> str:
        """A value with the ends of its interval, low and high, if it has one; None or infinite where no end is known."""
        value, *ends = estimate
        if None not in ends and ends[0] == ends[1]:
            return self.text(value)
        low, high = (NO_BOUND if end is None or math.isinf(end) else self.text(end) for end in ends)
        return f"{self.text(value)} [{low}, {high}]"


SUCCESS = Measure("success", "%", Bounds(0.0, 1.0), higher_is_better=True)


def number(value: float) -> str:
    """Two digits after the point, or three digits of what is very large or small."""
    return f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 1e6 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share in percent; 100.0 is said of certainty only."""
    text = f"{100 * value:.1f}"
    return "99.9" if text == "100.0" and value < 1 else text
