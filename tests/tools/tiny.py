"""The tiny experiment, whose programs are compiled once in every process of the tests."""

from functools import cache

from es_randomized import Evolution, load
from tests.tools.command import TINY


@cache
def tiny() -> Evolution:
    """The driver of tests/tiny.yaml; it has no state."""
    return Evolution.of(load(TINY))
