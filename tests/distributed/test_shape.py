"""Who hands out to whom, and how workers are shared out to machines."""

from typing import get_args

import pytest

from es_randomized.distributed.shape import FLAT, MANY, SEVERAL, Fanout, groups_of, shape_of
from es_randomized.distributed.staff import shared_out


@pytest.mark.parametrize(
    ("rooms", "workers", "fanout"),
    [
        ([16] * 64, None, "groups"),
        ([16] * MANY, None, "tree"),
        ([16] * 64, FLAT, "flat"),  # few of many
        ([16] * 64, 64 * SEVERAL - 1, "flat"),  # spread over all of them
        ([16] * 64, 64 * SEVERAL, "groups"),
        ([SEVERAL - 1] * 500, None, "flat"),  # a supervisor would look after three
        ([FLAT], None, "flat"),
        ([2 * FLAT], None, "tree"),
        ([], None, "flat"),  # nobody is there yet
    ],
)
def test_a_tree_is_chosen_for_many_workers_of_machines_that_have_several(rooms, workers, fanout):
    assert shape_of(rooms, workers, None).fanout == fanout
    for asked in get_args(Fanout):
        assert shape_of(rooms, workers, asked) == (asked, "asked for")


@pytest.mark.parametrize(("machines", "groups"), [(0, 1), (2, 1), (33, 6), (625, 25)])
def test_a_group_has_about_as_many_machines_as_there_are_groups(machines, groups):
    assert groups_of(machines) == groups


def test_workers_are_shared_out_evenly_as_far_as_there_is_room():
    rooms = {"large": 16, "small": 2, "middle": 8}

    def shares(workers):
        return {place.node: place.workers for place in shared_out(rooms, workers)}

    assert shares(None) == rooms
    assert shares(12) == {"small": 2, "middle": 5, "large": 5}
    assert shares(100) == rooms
    assert shares(2) == {"small": 1, "middle": 1}
    assert shares(0) == {}
    for workers in range(27):
        found = shares(workers)
        assert sum(found.values()) == workers
        assert all(0 < count <= rooms[node] for node, count in found.items())
