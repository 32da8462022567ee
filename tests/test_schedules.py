"""Schedules against closed forms; `start` in the first generation, `end` in the last."""

import math

import numpy as np
import pytest

from es_randomized.schedules import Schedule, build
from es_randomized.strategies.optimizers import Optimizer

GENERATIONS = 40


def fraction_of(shape, start, end, part):
    """The value after `part` of the way, 0 <= part <= 1."""
    return {
        "linear": start + part * (end - start),
        "cosine": end + (start - end) * (1 + math.cos(math.pi * part)) / 2,
        "exponential": start * (end / start) ** part,
    }[shape]


@pytest.mark.parametrize("shape", ["linear", "cosine", "exponential"])
@pytest.mark.parametrize(("start", "end"), [(0.2, 0.002), (0.01, 0.5)])
def test_schedules_go_from_start_to_end_in_their_shape(shape, start, end):
    schedule = build(Schedule(start=start, end=end, shape=shape), GENERATIONS)
    assert float(schedule(0)) == pytest.approx(start, rel=1e-6)
    for generation in (7, 20, 33, GENERATIONS - 1):
        expected = fraction_of(shape, start, end, generation / (GENERATIONS - 1))
        assert float(schedule(generation)) == pytest.approx(expected, rel=1e-5)


def test_a_number_is_constant():
    schedule = build(0.25, GENERATIONS)
    assert {float(schedule(generation)) for generation in (0, 1, 1000)} == {0.25}


def test_an_optimizer_warms_up_from_zero():
    optimizer = Optimizer(kind="sgd", momentum=0.0, learning_rate=0.5, warmup=4).build(GENERATIONS)
    state, steps = optimizer.init(np.zeros(1)), []
    for _ in range(6):
        update, state = optimizer.update(np.ones(1, np.float32), state)
        steps.append(float(-update[0]))
    assert steps == pytest.approx([0, 0.125, 0.25, 0.375, 0.5, 0.5])
