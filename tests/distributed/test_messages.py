"""What travels between coordinator and worker, without Ray: a call and its answer come out as they went in."""

import struct
from types import SimpleNamespace

import numpy as np

from es_randomized.distributed.messages import Argument, Step, answer_call, packed_answer, read_answer, send_call


class Doubling:
    """A worker that doubles what it finds at the places it is asked for."""

    def work(self, generation, numbers, factor, units):
        return [np.float32([generation, factor * numbers[unit]]).tobytes() for unit in units], 0.25


def asked(*arguments):
    """The answer to a call of units 3 and 1 of generation 7, where large arguments are their own references."""
    actor = SimpleNamespace(call=SimpleNamespace(remote=lambda packed, *large: answer_call(Doubling(), packed, large)))
    return send_call(actor, Step.of(1, "work", 7, arguments), [3, 1])


def test_small_and_large_arguments_keep_their_places():
    numbers, results = np.arange(5.0), {}
    for name, arguments in {
        "small": (Argument(0, numbers), Argument(0, 2)),
        "first large": (Argument(0, None, numbers.tolist()), Argument(0, 2)),
        "second large": (Argument(0, numbers), Argument(0, None, 2)),
        "both large": (Argument(0, None, numbers.tolist()), Argument(0, None, 2)),
    }.items():
        found, seconds, workers, lost, units = read_answer(asked(*arguments), [3, 1])
        assert (seconds, workers, lost, units) == (0.25, 1, 0, [3, 1])
        results[name] = [np.frombuffer(each, np.float32).tolist() for each in found]
    assert all(found == [[7.0, 6.0], [7.0, 2.0]] for found in results.values())


def test_results_are_told_apart_by_their_number():
    results = np.arange(6, dtype=np.float32)
    for which, packed in (([], [7, 8, 9]), ([4, 8, 1], [4, 8, 1])):  # of the units that were asked for, or of others
        data = struct.pack("<dqqq", 1.5, 4, 2, len(which)) + struct.pack(f"<{len(which)}q", *which) + results.tobytes()
        found, *others = read_answer(data, [7, 8, 9])
        assert others == [1.5, 4, 2, packed]
        assert [np.frombuffer(each, np.float32).tolist() for each in found] == [[0, 1], [2, 3], [4, 5]]


def test_an_answer_to_a_step_that_is_over_brings_nothing():
    assert read_answer(packed_answer([], 0.0), [7, 8]).units == []
