"""A worker that says how it got on: what a machine is asked before a paid run. A plain class, testable without Ray."""

import hashlib
import time
from typing import NamedTuple

import numpy as np
import psutil

from es_randomized.distributed.worker import Worker, WorkerInfo

WARM = 3  # evaluations, of which the fastest counts


class Seen(NamedTuple):
    """What a machine found out about itself.

    Attributes:
        info: as its workers say it.
        devices: that JAX finds for them.
        started: seconds to import, compile and run everything once.
        warm: seconds of a chunk on every device at once, after that; of several the shortest.
        digests: of the losses of that chunk, one for each device.
        free: bytes of main memory.
    """

    info: WorkerInfo
    devices: int
    started: float
    warm: float
    digests: tuple[str, ...]
    free: int


class Probe(Worker):
    """A worker with all devices of its machine."""

    def look(self) -> Seen:
        """Start as a worker does, then evaluate the first chunk of the first generation on every device."""
        began = time.perf_counter()
        info = self.ready()
        started = time.perf_counter() - began
        generation = self.driver.first_with_members()
        assert generation is not None, "a driver without members needs no workers"
        evolution = self._evolution(generation)
        message = evolution.message(evolution.strategy.ask(evolution.init(), generation))
        same = [0] * len(self._devices)
        answers = [self.evaluate(generation, message, same) for _ in range(WARM)]
        warm = min(answer.seconds for answer in answers)
        digests = tuple(hashlib.sha256(result).hexdigest() for result in answers[-1].results)
        return Seen(info, len(same), started, warm, digests, int(psutil.virtual_memory().available))

    def mirror(self, data: np.ndarray | None = None) -> np.ndarray | None:
        """The same back: nothing for a round trip, an array for how many bytes a link moves."""
        return None if data is None else data.copy()
