"""The worker: computes chunks and update parts of the generation it was last told about. A plain class, testable without Ray."""

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from es_randomized.drivers.evolution import Evolution


class WorkerInfo(NamedTuple):
    """What a worker says of itself when it is ready.

    Attributes:
        node: Ray's id of its machine.
        device: kind of its accelerator or processor.
        platform: cpu, gpu or tpu; bits agree within one, not between them.
        versions: of the packages that decide about bits, and of this package's source.
        pid: of its process.
        cores: that the process may use: as many as it claimed, or all of the machine.
    """

    node: str
    device: str
    platform: str
    versions: dict[str, str | None]
    pid: int
    cores: int


class Done(NamedTuple):
    """What a call brings back.

    Attributes:
        results: float32 bytes, in the order of the units.
        seconds: of computing, without waiting and messages.
    """

    results: list[bytes]
    seconds: float


class Worker:
    """One process with its accelerators, or with cores of its own.

    Nothing but numbers travels: the experiment as plain data once, the distribution with every call (large ones through the
    machine's shared memory), indexes down and float32 results up as bytes.
    """

    def __init__(self, tree: dict[str, Any], claims: str | None, devices: int = 1) -> None:
        """Keep the resolved experiment `tree` and, unless `claims` is None, claim cores before JAX is imported.

        Args:
            claims: workers with different names here may have the same cores, if they take turns.
        """
        from es_randomized.distributed.cores import claim_cores, claims_folder

        self._tree, self._count = tree, devices
        self._claim = claim_cores(claims_folder(claims), devices) if claims is not None else None
        self._generation: int | None = None

    def ready(self, node: str = "") -> WorkerInfo:
        """Bind the experiment, compile and run everything once."""
        import jax

        from es_randomized import compilation

        compilation.configure(devices=self._count)
        from es_randomized.compilation import usable_cores
        from es_randomized.config.yaml import build
        from es_randomized.drivers.kinds import driver_of
        from es_randomized.runs.provenance import deciding_versions

        self.driver, self._devices = driver_of(build(self._tree)), jax.local_devices()
        first = self.driver.first_with_members()
        assert first is not None, "a driver without members needs no workers"
        self._run_once(first)
        self._generation = None  # the run itself may begin with other weights
        device = self._devices[0]
        return WorkerInfo(node, device.device_kind, device.platform, deciding_versions(), os.getpid(), usable_cores())

    def _run_once(self, generation: int) -> None:
        """Compile and run what `generation` needs; phases that come later compile when they begin."""
        evolution = self._evolution(generation)
        strategy = evolution.strategy
        message = evolution.message(strategy.ask(evolution.init(), generation))
        self.evaluate(generation, message, list(range(min(len(self._devices), len(evolution.chunks)))))
        if strategy.parts:
            several = list(range(min(len(self._devices), strategy.parts.count)))
            self.parts(generation, message, np.zeros(strategy.population, np.float32), several)

    def evaluate(self, generation: int, message: list[np.ndarray], chunks: list[int]) -> Done:
        """Losses of some chunks, one after the other on every device: [row, antithetic] each.

        Args:
            message: the generation's distribution, see `Evolution.message`.
        """
        began = time.perf_counter()
        self._receive(generation, message)
        evolution = self._evolution(generation)
        run, rows, inputs = evolution.chunk_losses, evolution.chunks, self._inputs
        return _done(began, [run(self._proposal(index), rows[chunk], inputs) for index, chunk in enumerate(chunks)])

    def parts(self, generation: int, message: list[np.ndarray], shaped: np.ndarray, parts: list[int]) -> Done:
        """Some parts of the update for shaped losses: [sum, column] each."""
        began = time.perf_counter()
        self._receive(generation, message)
        update = self._evolution(generation).strategy.parts
        assert update is not None
        sums = [update.compute(self._proposal(index), shaped, np.int32(part)) for index, part in enumerate(parts)]
        return _done(began, sums)

    def _evolution(self, generation: int) -> "Evolution":
        from es_randomized.drivers.evolution import evolution_at

        return evolution_at(self.driver, generation)

    def _receive(self, generation: int, message: list[np.ndarray]) -> None:
        """Make the proposal of a generation, once."""
        import jax

        if self._generation != generation:
            proposal, self._inputs = self._evolution(generation).received(message, generation)
            self._proposals = [jax.device_put(proposal, device) for device in self._devices]
            self._generation = generation

    def _proposal(self, index: int) -> Any:
        """The proposal on the device whose turn it is."""
        return self._proposals[index % len(self._proposals)]


def _done(began: float, results: Sequence[object]) -> Done:
    return Done([np.asarray(result).tobytes() for result in results], time.perf_counter() - began)
