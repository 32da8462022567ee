"""The ledger of tests/tiny.yaml, added up by hand."""

import pytest

from es_randomized import driver_of, load
from es_randomized.drivers.ledger import Cost
from tests.tools.command import TINY, TINY_GRADIENT

CASES, TOKENS = 4 * 2, 4 * 2 * 5
# embedding 4x6, two blocks of two 4x4 products and two 4x8 ones, readout 3x4; a multiply and an add each
FLOPS_PER_TOKEN = 2 * (4 * 6 + 2 * (2 * 4 * 4 + 2 * 4 * 8) + 3 * 4)


@pytest.mark.parametrize(
    ("path", "members", "passes"), [(TINY, 12, 1), (TINY_GRADIENT, 1, 3)], ids=["evolution", "gradient"]
)
def test_the_cost_of_a_generation(path, members, passes):
    expected = Cost(members * CASES, members * TOKENS, passes * members * TOKENS * FLOPS_PER_TOKEN)
    assert driver_of(load(path)).cost() == expected


def test_costs_of_many_generations():
    assert Cost(2, 3, 4).times(5) == Cost(10, 15, 20)
