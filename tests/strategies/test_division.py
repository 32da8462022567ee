"""Parts of an update cover every entry of the noise once, are none too large, and bound what comes back."""

import pytest

from es_randomized.strategies.division import ALIGN, MOST, NARROWEST, TALLEST, WIDEST, divided

SIZES = [
    (1, 1),
    (128, 3_392),
    (4_096, 3_392),
    (4_097, 3_392),
    (32_768, 10_000),
    (8_192, 10**6),
    (10**7, 10**6),
    (9_000, 10**8),
]


@pytest.mark.parametrize(("rows", "columns"), SIZES)
@pytest.mark.parametrize("whole_rows", [False, True])
def test_every_entry_is_in_one_part(rows, columns, whole_rows):
    down, across, height, width = divided(rows, columns, whole_rows)
    assert (down - 1) * height < rows <= down * height
    assert (across - 1) * width < columns <= across * width
    assert across == 1 or not whole_rows


@pytest.mark.parametrize("columns", [1, 3_392, 10**6, 10**8])
def test_a_small_population_is_divided_by_columns_only(columns):
    assert divided(TALLEST, columns).down == 1
    width = divided(TALLEST, columns).width
    assert min(NARROWEST, columns) <= width <= WIDEST
    assert width < columns + ALIGN
    assert divided(64 * TALLEST, columns).width == width


def test_a_small_model_with_a_large_population_has_work_for_many():
    assert divided(32_768, 3_392) == (8, 2, 4_096, 2_048)
    assert divided(32_770, 3_392) == (9, 2, 3_642, 2_048)  # blocks alike, not eight full ones and two rows


@pytest.mark.parametrize("columns", [1, 3_392, 10**5, 10**6, 10**8])
@pytest.mark.parametrize("whole_rows", [False, True])
def test_what_comes_back_is_bounded_however_large_the_population(columns, whole_rows):
    parts = divided(10**9, columns, whole_rows)
    assert parts.down == 1 or parts.down * parts.across <= MOST
    assert parts.down * columns <= max(columns, MOST * WIDEST)
