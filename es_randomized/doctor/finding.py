"""A finding: what was measured, what it means, and which setting to try."""

from dataclasses import dataclass

from es_randomized.schedules import Rate, Schedule

WORTH_SAYING = 0.3


@dataclass(frozen=True)
class Finding:
    """One thing that holds a run back.

    Attributes:
        name: what it is, in a few words.
        weight: how much it holds the run back, from 0 (not at all) to 1; findings are ranked by it.
        measured: the numbers.
        meaning: what they say.
        setting: dotted name of the setting to try.
        change: from what to what.
    """

    name: str
    weight: float
    measured: str
    meaning: str
    setting: str
    change: str


def between(value: float, fine: float, bad: float) -> float:
    """0 where a value is fine or better, 1 where it is bad or worse, linear in between; either end may be the larger one."""
    return min(1.0, max(0.0, (value - fine) / (bad - fine)))


def rate_times(rate: Rate, factor: float) -> str:
    """A rate and what it is after a change, for people: 0.1 → 0.03."""
    return f"{_text(rate, 1.0)} → {_text(rate, factor)}"


def count_times(count: int, factor: int) -> str:
    """The same of a number of things."""
    return f"{count} → {count * factor}"


def _text(rate: Rate, factor: float) -> str:
    if isinstance(rate, Schedule):
        return f"{{start: {rate.start * factor:.2g}, end: {rate.end * factor:.2g}}}"
    return f"{rate * factor:.2g}"
