"""The worker: evaluates chunks of the generation it was last told about. A plain class, testable without Ray."""

from pathlib import Path
from typing import Any

import numpy as np


class Worker:
    """One process with one accelerator or one core.

    Nothing but numbers travels: the experiment as plain data once, the state's arrays once per generation, a chunk's
    index down and its losses up as bytes.
    """

    def __init__(self, tree: dict[str, Any], claims: Path | None) -> None:
        """Keep the resolved experiment `tree` and take a core claimed in `claims`, if given, before JAX is imported."""
        from es_randomized.distributed.cores import claim_core

        self._tree = tree
        self._claim = claim_core(claims) if claims else None
        self._draw: Any = None

    def ready(self) -> str:
        """Bind the experiment, compile and run everything once; returns the kind of device."""
        import jax

        from es_randomized import compilation

        compilation.configure(devices=1)
        from es_randomized.configuration import build
        from es_randomized.drivers.evolution import Evolution

        self.evolution = Evolution.of(build(self._tree))
        leaves, self._structure = jax.tree.flatten(self.evolution.init())
        self.begin(0, [np.asarray(leaf) for leaf in leaves])
        self.evaluate(0, 0)
        return str(jax.devices()[0].device_kind)

    def begin(self, generation: int, leaves: list[np.ndarray]) -> None:
        """Take the strategy's state before `generation` and draw its members."""
        import jax

        state = jax.tree.unflatten(self._structure, leaves)
        self._draw = self.evolution.strategy.draw(state, generation)

    def evaluate(self, generation: int, chunk: int) -> bytes:
        """Losses of one chunk, float32 in id order.

        Raises:
            RuntimeError: `begin` was not called for this generation.
        """
        if self._draw is None or self._draw.generation != generation:
            raise RuntimeError(f"chunk {chunk} of generation {generation} came before the generation's state")
        ids = self.evolution.chunks[chunk]
        losses = self.evolution.chunk_losses(self._draw.sample, ids, np.uint32(generation))
        return np.asarray(losses).tobytes()
