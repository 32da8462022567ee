"""What comes to a process that hands out work: answers of calls, workers that are ready, and whatever it is sent.

Ray says of every answer when it is there, from a thread of its own: nobody asks for a list of them, which with thousands of
workers takes longer than their answers.
"""

from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from ray import ObjectRef


class Arrived(NamedTuple):
    """The value of a reference is there, or the error in its place.

    Attributes:
        of: whom it is from.
        value: holds the value or raises the error, at once.
    """

    of: Any
    reference: ObjectRef
    value: "Future[Any]"


class Inbox:
    """Messages in the order in which they came."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[Any] = SimpleQueue()

    def put(self, message: object) -> None:
        """Add a message; from any thread."""
        self._messages.put(message)

    def expect(self, reference: ObjectRef, of: object) -> None:
        """Add `Arrived` when the value of a reference is there."""
        reference.future().add_done_callback(lambda value: self.put(Arrived(of, reference, value)))

    def take(self, timeout: float) -> list[Any]:
        """All messages that are there, waiting so many seconds for the first one."""
        taken: list[Any] = []
        with suppress(Empty):
            taken.append(self._messages.get(timeout=timeout))
            while True:
                taken.append(self._messages.get_nowait())
        return taken
