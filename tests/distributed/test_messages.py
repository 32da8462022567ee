"""What travels between coordinator and worker, without Ray: a call and its answer come out as they went in."""

import struct
from types import SimpleNamespace

import numpy as np

from es_randomized.distributed.messages import Argument, Step, answer_call, read_answer, send_call


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
        found, seconds, workers, lost = read_answer(asked(*arguments), 2)
        assert (seconds, workers, lost) == (0.25, 1, 0)
        results[name] = [np.frombuffer(each, np.float32).tolist() for each in found]
    assert all(found == [[7.0, 6.0], [7.0, 2.0]] for found in results.values())


def test_results_are_told_apart_by_their_number():
    data = struct.pack("<dqq", 1.5, 4, 2) + np.arange(6, dtype=np.float32).tobytes()
    found, seconds, workers, lost = read_answer(data, 3)
    assert (seconds, workers, lost) == (1.5, 4, 2)
    assert [np.frombuffer(each, np.float32).tolist() for each in found] == [[0, 1], [2, 3], [4, 5]]
