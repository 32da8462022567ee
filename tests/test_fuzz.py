"""A short version of `python -m tests.fuzz`, whose examples are numbered: each runs again as it was."""

from collections import Counter

import pytest

from tests.fuzz.fates import PASSED_OVER, REFUSED
from tests.fuzz.flipped_bits import fuzz_bytes
from tests.fuzz.made_up_yaml import TEXTS, fuzz_yaml


def test_any_yaml_is_an_experiment_or_one_message():
    outcomes = Counter(fuzz_yaml(0, len(TEXTS) + 100))
    assert set(outcomes) == {"an experiment", REFUSED}


@pytest.mark.long
def test_a_flipped_bit_leaves_the_same_numbers_or_is_refused():
    outcomes = Counter(fate for _, fate in fuzz_bytes(0, 20))
    assert set(outcomes) == {"the same", PASSED_OVER, REFUSED}
