"""The way of the centre through the weights: how far a generation moves it, and whether that leads anywhere."""

import itertools
from collections import deque
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from es_randomized.doctor.signal import cosine

Entries = Float[np.ndarray, " param"]
LEGS = 16  # that the way is cut into
RECENT = 32  # centres that are kept


class Way(NamedTuple):
    """What a way came to.

    Attributes:
        step: median length of a step, as a root mean square over the weights.
        straight: mean cosine of every leg, a sixteenth of the way, with the one before: 1 on a line, 0 on a random walk; None
            where there are fewer than two.
        growth: length of the weights at the end, relative to the beginning.
        travelled: distance from the beginning to the end, relative to the length of the weights at the beginning.
    """

    step: float
    straight: float | None
    growth: float
    travelled: float


class Path:
    """Measures a way as its steps come, and keeps few vectors however many these are.

    Attributes:
        recent: the last centres, oldest first.
    """

    def __init__(self, generations: int) -> None:
        self._every = max(1, generations // LEGS)
        self._marks: list[Entries] = []
        self._steps: list[float] = []
        self.recent: deque[Entries] = deque(maxlen=RECENT)

    def add(self, before: Float[Array | np.ndarray, " param"], after: Float[Array | np.ndarray, " param"]) -> None:
        """One more step; `before` need not be where the last one ended."""
        start, end = np.asarray(before), np.asarray(after)
        if len(self._steps) % self._every == 0:
            self._marks.append(start)
        self._steps.append(float(np.linalg.norm(end - start)))
        self.recent.append(end)

    def way(self) -> Way | None:
        """What it came to so far; None before the first step."""
        if not self._steps:
            return None
        first, last = self._marks[0], self.recent[-1]
        legs = [end - start for start, end in zip(self._marks, self._marks[1:], strict=False)]
        turns = [cosine(one, other) for one, other in itertools.pairwise(legs)]
        length = max(float(np.linalg.norm(first)), 1e-30)
        return Way(
            step=float(np.median(self._steps)) / len(last) ** 0.5,
            straight=float(np.mean(turns)) if turns else None,
            growth=float(np.linalg.norm(last)) / length,
            travelled=float(np.linalg.norm(last - first)) / length,
        )
