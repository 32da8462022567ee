"""What travels between coordinator and worker: one string of bytes each way, because Ray takes milliseconds over objects.

A call names its step, its units and what is small enough to go along; what is large lies in the machine's shared memory and
goes by reference. An answer is the worker's seconds and the float32 results, one after the other. What all calls of a step
have in common is packed once; whoever passes a call on passes that on as it is.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import ray

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


def send_call(actor: Any, step: Step, units: list[int]) -> Any:
    """Ask a worker for some units of a step; returns the reference of its answer."""
    return actor.call.remote(pickle.dumps((step.head, units), pickle.HIGHEST_PROTOCOL), *step.references)


def call_all(actors: Iterable[Any], step: Step, units: list[int]) -> list[tuple[list[memoryview], float]]:
    """Ask several workers for the same units at once; returns what `read_answer` makes of each answer."""
    answers = ray.get([send_call(actor, step, units) for actor in actors])
    return [read_answer(data, len(units)) for data in answers]


def answer_call(worker: object, packed: bytes, large: tuple[object, ...]) -> bytes:
    """The worker's side of `send_call`."""
    head, units = pickle.loads(packed)
    method, generation, small = pickle.loads(head)
    rest = iter(large)
    arguments = [argument[0] if argument else next(rest) for argument in small]
    results, seconds = getattr(worker, method)(generation, *arguments, units)
    return b"".join((np.float64(seconds).tobytes(), *results))


def read_answer(data: bytes, units: int) -> tuple[list[memoryview], float]:
    """Results of all units, equally long, and the seconds they took."""
    seconds, results = float(np.frombuffer(data, np.float64, 1)[0]), memoryview(data)[8:]
    size = len(results) // units
    return [results[start : start + size] for start in range(0, units * size, size)], seconds
