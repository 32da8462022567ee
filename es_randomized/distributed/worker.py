"""The worker: computes chunks and update parts of the generation it was last told about. A plain class, testable without Ray."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Hello(NamedTuple):
    """What a worker says of itself when it is ready.

    Attributes:
        node: Ray's id of its machine.
        device: kind of its accelerator or processor.
        platform: cpu, gpu or tpu; bits agree within one, not between them.
        versions: of the packages that decide about bits, and of this package's source.
    """

    node: str
    device: str
    platform: str
    versions: dict[str, str | None]


class Worker:
    """One process with its accelerators, or with cores of its own.

    Nothing but numbers travels: the experiment as plain data once, the distribution once per generation, indexes down and
    float32 results up as bytes.
    """

    def __init__(self, tree: dict[str, Any], claims: Path | None, devices: int = 1) -> None:
        """Keep the resolved experiment `tree` and take cores claimed in `claims`, if given, before JAX is imported."""
        from es_randomized.distributed.cores import claim_cores

        self._tree, self._count = tree, devices
        self._claim = claim_cores(claims, devices) if claims else None
        self._generation: int | None = None
        self._shaped: Any = None

    def ready(self, node: str = "") -> Hello:
        """Bind the experiment, compile and run everything once."""
        import jax

        from es_randomized import compilation

        compilation.configure(devices=self._count)
        from es_randomized.configuration import build
        from es_randomized.drivers.evolution import Evolution
        from es_randomized.runs.provenance import deciding_versions

        self.evolution = Evolution.of(build(self._tree))
        self._devices = jax.local_devices()
        strategy = self.evolution.strategy
        self.begin(0, strategy.message(strategy.draw(self.evolution.init(), 0)))
        self.evaluate(0, list(range(min(len(self._devices), len(self.evolution.chunks)))))
        if strategy.parts:
            several = list(range(min(len(self._devices), strategy.parts.count)))
            self.parts(0, np.zeros(strategy.population, np.float32), several)
        device = self._devices[0]
        return Hello(node, device.device_kind, device.platform, deciding_versions())

    def begin(self, generation: int, message: list[np.ndarray]) -> None:
        """Take the distribution of `generation`."""
        import jax

        sample = self.evolution.strategy.receive(message, generation)
        self._samples = [jax.device_put(sample, device) for device in self._devices]
        self._generation = generation

    def evaluate(self, generation: int, chunks: list[int]) -> list[bytes]:
        """Losses of some chunks, one after the other on every device: float32, [row, sign] each.

        Raises:
            RuntimeError: `begin` was not called for this generation.
        """
        self._check(generation)
        run, rows = self.evolution.chunk_losses, self.evolution.chunks
        number = np.uint32(generation)
        return _bytes([run(self._sample(place), rows[chunk], number) for place, chunk in enumerate(chunks)])

    def parts(self, generation: int, shaped: np.ndarray, parts: list[int]) -> list[bytes]:
        """Some parts of the update for shaped losses: float32, [sum, column] each.

        Raises:
            RuntimeError: `begin` was not called for this generation.
        """
        self._check(generation)
        update = self.evolution.strategy.parts
        assert update is not None
        return _bytes([update.compute(self._sample(place), shaped, np.int32(part)) for place, part in enumerate(parts)])

    def _sample(self, place: int) -> Any:
        return self._samples[place % len(self._samples)]

    def _check(self, generation: int) -> None:
        if self._generation != generation:
            raise RuntimeError(f"work of generation {generation} came before the generation's distribution")


def _bytes(results: list[Any]) -> list[bytes]:
    return [np.asarray(result).tobytes() for result in results]
