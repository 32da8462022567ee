"""Early stopping against the decisions of Ray Tune's ASHAScheduler, as they were recorded: Tune is no dependency."""

import numpy as np
import pytest

from es_randomized.trials.halving import Halving
from es_randomized.trials.sweep import Stop

# Of ray 2.60: ASHAScheduler("generation", "score", "min", 10**9, first, factor, stop_last_trials=False).
RECORDED = {
    (0, 20, 3): [
        ("trial6", 37),
        ("trial1", 23),
        ("trial16", 20),
        ("trial21", 47),
        ("trial13", 67),
        ("trial14", 35),
        ("trial9", 77),
        ("trial10", 61),
        ("trial15", 28),
        ("trial19", 82),
        ("trial0", 27),
        ("trial12", 81),
        ("trial3", 80),
        ("trial22", 60),
        ("trial4", 89),
        ("trial20", 101),
        ("trial18", 218),
        ("trial11", 23),
    ],
    (1, 7, 2.5): [
        ("trial2", 27),
        ("trial1", 17),
        ("trial10", 31),
        ("trial13", 31),
        ("trial16", 51),
        ("trial6", 43),
        ("trial23", 57),
        ("trial8", 69),
        ("trial22", 66),
        ("trial20", 50),
        ("trial14", 24),
        ("trial0", 84),
        ("trial21", 67),
        ("trial3", 7),
        ("trial12", 65),
        ("trial7", 56),
        ("trial15", 132),
        ("trial9", 39),
        ("trial5", 117),
        ("trial17", 121),
    ],
    (2, 1, 2): [
        ("trial9", 24),
        ("trial14", 31),
        ("trial5", 64),
        ("trial10", 23),
        ("trial19", 45),
        ("trial4", 30),
        ("trial18", 18),
        ("trial12", 58),
        ("trial11", 108),
        ("trial0", 23),
        ("trial1", 107),
        ("trial17", 54),
        ("trial16", 43),
        ("trial6", 102),
        ("trial3", 107),
        ("trial21", 74),
        ("trial22", 72),
        ("trial20", 50),
        ("trial15", 129),
        ("trial8", 129),
        ("trial7", 262),
        ("trial23", 285),
    ],
}


def reports(seed, trials=24, generations=400):
    """Trials that report every now and then, in any order, some much better than others, some not finite, some equal."""
    rng = np.random.default_rng(seed)
    clock, level = np.zeros(trials, int), rng.choice([0.1, 0.5, 0.5, 1.0, 3.0], trials)
    while (open_trials := np.flatnonzero(clock < generations)).size:
        trial = rng.choice(open_trials)
        clock[trial] += rng.integers(1, 60)
        score = level[trial] * (1 + rng.random() / np.sqrt(clock[trial]))
        yield (
            f"trial{trial}",
            int(clock[trial]),
            float(rng.choice([score, round(score, 1), np.inf], p=[0.8, 0.17, 0.03])),
        )


def decided(goes_on, seed):
    """The trials that are stopped, in order, with their generations."""
    stopped = {}
    for name, generation, score in reports(seed):
        if name not in stopped and not goes_on(name, generation, score):
            stopped[name] = generation
    return list(stopped.items())


@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_decisions_are_those_that_tune_made(case):
    seed, first, factor = case
    rule = Halving(Stop(kind="asha", first=first, factor=factor))
    assert decided(rule.goes_on, seed) == RECORDED[case]
