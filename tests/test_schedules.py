"""Schedules against closed forms; the peak is at `start`, the value after the last generation is `end`."""

import math

import pytest

from es_randomized.schedules import Schedule, build

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
    assert float(schedule(GENERATIONS)) == pytest.approx(end, rel=1e-5)
    for generation in (7, 20, 33):
        # Within one generation of the closed form: whether generation 39 or 40 of 40 is the end is left open.
        shorter, longer = (fraction_of(shape, start, end, generation / (GENERATIONS - less)) for less in (1, 0))
        low, high = sorted((shorter, longer))
        assert low * (1 - 1e-5) <= float(schedule(generation)) <= high * (1 + 1e-5)


@pytest.mark.parametrize("shape", ["linear", "cosine", "exponential"])
def test_the_warm_up_is_linear_and_ends_at_start(shape):
    schedule = build(Schedule(start=0.3, end=0.1, shape=shape, warmup=10), GENERATIONS)
    values = [float(schedule(generation)) for generation in range(GENERATIONS + 1)]
    assert values[4:11] == pytest.approx([0.3 * g / 10 for g in range(4, 11)], rel=1e-6)
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] == pytest.approx(0.1, rel=1e-5)


def test_a_number_is_constant():
    schedule = build(0.25, GENERATIONS)
    assert {float(schedule(generation)) for generation in (0, 1, 1000)} == {0.25}


def test_a_warm_up_longer_than_the_run_only_warms_up():
    schedule = build(Schedule(start=1.0, end=0.1, warmup=20), 10)
    assert [float(schedule(generation)) for generation in (5, 9)] == pytest.approx([0.25, 0.45])
