"""The way of a centre: straight lines, circles and walks whose numbers are known."""

import itertools

import numpy as np
import pytest

from es_randomized.doctor.path import RECENT, Path


def way_of(points):
    path = Path(len(points) - 1)
    for before, after in itertools.pairwise(points):
        path.add(before, after)
    return path.way()


def test_a_straight_line():
    points = [np.array([3.0, 4.0]) * (1 + 0.01 * step) for step in range(101)]
    way = way_of(points)
    assert way.straight == pytest.approx(1)
    assert way.step == pytest.approx(0.05 / np.sqrt(2))
    assert way.growth == pytest.approx(2)
    assert way.travelled == pytest.approx(1)


def test_a_circle_turns_by_one_angle_and_ends_where_it_began():
    angles = 2 * np.pi * np.arange(161) / 160
    way = way_of([np.array([np.cos(angle), np.sin(angle)]) for angle in angles])
    assert way.straight == pytest.approx(np.cos(2 * np.pi / 16), abs=1e-6)
    assert way.travelled == pytest.approx(0, abs=1e-12)
    assert way.growth == pytest.approx(1)


def test_a_random_walk_is_not_straight():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(321, 4000)), axis=0)
    assert abs(way_of(list(walk)).straight) < 0.05


def test_a_path_without_steps_and_one_with_many():
    assert Path(5).way() is None
    path = Path(100)
    for number in range(100):
        path.add(np.full(2, float(number)), np.full(2, number + 1.0))
    assert [point[0] for point in path.recent] == list(range(101 - RECENT, 101))
