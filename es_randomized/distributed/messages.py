"""What travels between coordinator and worker: one string of bytes each way, because Ray takes milliseconds over objects.

A call names its step, its units and what is small enough to go along; what is large lies in the machine's shared memory and
goes by reference. An answer is the seconds of computing, who computes, which units, and the float32 results of each. What all
calls of a step have in common is packed once; a supervisor passes it on as it is.
"""

import pickle
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import ray

HEADER = struct.Struct("<dqqq")
SMALL = 2**12  # bytes that go with every call; more of them go once to every machine


class Argument(NamedTuple):
    """An argument of many calls.

    Attributes:
        bytes: its size.
        value: itself, if it is small; otherwise nothing.
        reference: to it in shared memory, if it is large.
    """

    bytes: int
    value: object
    reference: Any = None

    @staticmethod
    def of(value: object, size: int) -> "Argument":
        """An argument of `size` bytes."""
        return Argument(size, None, ray.put(value)) if size > SMALL else Argument(size, value)


@dataclass(frozen=True)
class Step:
    """One step of a generation: what all its calls have in common.

    Attributes:
        number: of the run's steps.
        method: of the worker.
        generation: that it belongs to.
        head: method, generation and small arguments, packed.
        references: to large arguments.
    """

    number: int
    method: str
    generation: int
    head: bytes
    references: tuple[Any, ...] = ()

    @staticmethod
    def of(number: int, method: str, generation: int, arguments: tuple[Argument, ...]) -> "Step":
        """A step whose calls have these arguments before their units."""
        small = tuple(None if argument.reference else (argument.value,) for argument in arguments)
        head = pickle.dumps((method, generation, small), pickle.HIGHEST_PROTOCOL)
        references = tuple(argument.reference for argument in arguments if argument.reference)
        return Step(number, method, generation, head, references)


class Answer(NamedTuple):
    """What comes back of a call.

    Attributes:
        results: as many as it asked for, equally long; none if the step was over.
        seconds: of computing them.
        workers: that compute for whoever answers: 1 for a worker.
        lost: workers that it has lost so far.
        units: that these are the results of.
    """

    results: list[memoryview]
    seconds: float
    workers: int
    lost: int
    units: list[int]


def send_call(actor: Any, step: Step, units: list[int], expected: int = 0) -> Any:
    """Ask a worker for some units of a step; returns the reference of its answer."""
    return actor.call.remote(pickle.dumps((step.head, units), pickle.HIGHEST_PROTOCOL), *step.references)


def pass_on(actor: Any, step: Step, units: list[int], expected: int) -> Any:
    """Ask a supervisor for the same. It gets references themselves instead of what they refer to.

    Args:
        expected: units that it will be asked for later, about.
    """
    packed = pickle.dumps((step.number, step.head, units, expected), pickle.HIGHEST_PROTOCOL)
    return actor.call.remote(packed, step.references)


def passed_on(packed: bytes, references: tuple[Any, ...]) -> tuple[Step, list[int], int]:
    """The supervisor's side of `pass_on`: the step, its units, and how many are expected later."""
    number, head, units, expected = pickle.loads(packed)
    method, generation, _ = pickle.loads(head)
    return Step(number, method, generation, head, references), units, expected


def call_all(actors: Iterable[Any], step: Step, units: list[int]) -> list[Answer]:
    """Ask several workers for the same units at once; returns what `read_answer` makes of each answer."""
    answers = ray.get([send_call(actor, step, units) for actor in actors])
    return [read_answer(data, units) for data in answers]


def answer_call(worker: object, packed: bytes, large: tuple[object, ...]) -> bytes:
    """The worker's side of `send_call`."""
    head, units = pickle.loads(packed)
    method, generation, small = pickle.loads(head)
    rest = iter(large)
    arguments = [argument[0] if argument else next(rest) for argument in small]
    results, seconds = getattr(worker, method)(generation, *arguments, units)
    return packed_answer(results, seconds)


def packed_answer(
    results: Iterable[bytes | memoryview], seconds: float, workers: int = 1, lost: int = 0, units: Sequence[int] = ()
) -> bytes:
    """An answer as it travels; without `units` it is of those that the call asked for."""
    return b"".join((HEADER.pack(seconds, workers, lost, len(units)), np.array(units, np.int64).tobytes(), *results))


def read_answer(data: bytes, asked: list[int]) -> Answer:
    """The answer to a call for these units."""
    seconds, workers, lost, count = HEADER.unpack_from(data)
    units = np.frombuffer(data, np.int64, count, HEADER.size).tolist() or asked
    results = memoryview(data)[HEADER.size + 8 * count :]
    size = len(results) // len(units)
    parts = [results[start : start + size] for start in range(0, len(units) * size, size)] if size else []
    return Answer(parts, seconds, workers, lost, units if parts else [])
