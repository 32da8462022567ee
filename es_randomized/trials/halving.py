"""Asynchronous successive halving (Li et al. 2018), with the decisions of Ray Tune's ASHAScheduler."""

import numpy as np

from es_randomized.trials.sweep import Stop


class Halving:
    """Decides which trials go on, from what all of them have reported so far.

    A trial is judged once at each rung, which are at first, first × factor, first × factor², ... generations: by its first
    report from there on, against the scores that others had at that rung by then.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._rungs: dict[int, dict[str, float]] = {}

    def goes_on(self, name: str, generation: int, score: float) -> bool:
        """Take note of a report, lower is better; returns whether the trial is worth going on with."""
        if generation < self._stop.first:
            return True
        rung = 0
        while generation >= self._stop.first * self._stop.factor ** (rung + 1):
            rung += 1
        scores = self._rungs.setdefault(rung, {})
        if name in scores:
            return True
        # Gains, as Tune has them: the percentile of losses would differ in its last bit.
        gains = [-other for other in scores.values()]
        scores[name] = score
        with np.errstate(invalid="ignore"):  # between infinite scores there is no percentile, and everybody goes on
            return not (gains and -score < np.nanpercentile(gains, 100 * (1 - 1 / self._stop.factor)))
