"""How much the seed decides, against a variance taken apart by hand."""

import numpy as np
import pytest

from es_randomized.doctor.seeds import more_seeds, share_between_seeds


def test_a_policy_that_ignores_its_seed_leaves_it_nothing():
    assert share_between_seeds(np.repeat([[1.0], [2.0], [5.0]], 6, axis=1)) == 0


def test_where_all_instances_are_alike_the_seed_decides_everything():
    assert share_between_seeds(np.tile([0.0, 1.0, 2.0, 3.0], (5, 1))) == 1


def test_the_share_of_two_sources_of_known_variance():
    generator = np.random.default_rng(0)
    losses = generator.normal(scale=1.0, size=(2000, 1)) + generator.normal(scale=2.0, size=(2000, 24))
    assert share_between_seeds(losses) == pytest.approx(4 / 5, abs=0.02)


def test_always_several_seeds():
    assert (more_seeds(1), more_seeds(8)) == (16, 32)
