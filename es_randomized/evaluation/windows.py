"""The same outcomes for ring policies, found through windows: a hundred times cheaper when many cycles are evaluated.

After b blocks of attention to neighbours, a node's output depends on the 2b + 1 vertices around it and on nothing else.
The 181,440 cycles through ten vertices have 1,814,400 nodes but only 15,120 different windows of five (up to reversal).
Each window is run once per seed, as a small cycle whose middle node has seen exactly what it would see in the large one;
the cycles are then put together by looking their nodes up.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8

from es_randomized.compilation import jit
from es_randomized.evaluation.outcomes import numbered, over_blocks, repeat
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.models.model import Model
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.task import Outcome

WINDOWS_PER_STEP = 240
INSTANCES_PER_STEP = 2048


@dataclass(frozen=True)
class WindowOutcomes:
    """What comes of every instance in every run of a ring policy; losses are not computed."""

    task: CycleColouring
    model: Model

    @staticmethod
    def applies(task: Any, model: Model) -> bool:
        """Whether windows are smaller than the cycles."""
        radius = model.receptive_field(task.interface)
        return isinstance(task, CycleColouring) and radius is not None and 2 * radius + 1 < task.n

    def __call__(self, runs: RepeatedRuns, instances: Int[np.ndarray, "position instance"]) -> Outcome:
        """Success and answer `[instance, run]`, and no loss."""
        windows, index = distinct_windows(np.asarray(instances), self._radius, self.task.n)
        colours = over_blocks(self._windows, runs, numbered(windows), WINDOWS_PER_STEP)
        lookup = (index, np.asarray(instances))
        success, answer = over_blocks(self._assemble, colours, lookup, INSTANCES_PER_STEP)
        return Outcome(None, success, answer)  # type: ignore[arg-type]

    @property
    def _radius(self) -> int:
        radius = self.model.receptive_field(self.task.interface)
        assert radius is not None, "windows need a model whose nodes see only so far"
        return radius

    @cached_property
    def _windows(self) -> Any:
        return jit(self._window_colours, self.model.precision)

    @cached_property
    def _assemble(self) -> Any:
        return jit(self._assembled)

    def _window_colours(
        self, runs: RepeatedRuns, block: tuple[Int[Array, "position window"], Int[Array, " window"]]
    ) -> UInt8[Array, "window run"]:
        """Colour of every window's middle node."""

        windows, ids = block

        def one(number: Any) -> Any:
            tokens, _ = self.task.observe(windows, repeat(runs.seed(number), WINDOWS_PER_STEP))
            middle = runs.policy(number, self.task, self.model, ids[0])(tokens)[:, self._radius]
            return jnp.argmax(middle, axis=0).astype(jnp.uint8)

        return jax.lax.map(one, jnp.arange(runs.number)).T

    def _assembled(self, colours: UInt8[Array, "window run"], lookup: Any) -> Any:
        """Success and answer [instance, run] of a block of cycles."""
        index, instances = lookup

        def one(column: UInt8[Array, " window"]) -> Any:
            return self.task.judge(column[index].astype(jnp.int32), instances)

        return jax.tree.map(jnp.transpose, jax.lax.map(one, colours.T))


def distinct_windows(
    instances: Int[np.ndarray, "position instance"], radius: int, n: int
) -> tuple[Int[np.ndarray, "window_position window"], Int[np.ndarray, "position instance"]]:
    """The different windows of 2 * radius + 1 vertices up to reversal, and which one stands around every node."""
    offsets = range(-radius, radius + 1)
    around = np.stack([np.roll(instances, -offset, axis=0) for offset in offsets]).astype(np.int64)
    powers = (n ** np.arange(2 * radius + 1))[:, None, None]
    codes = np.minimum((around * powers).sum(axis=0), (around[::-1] * powers).sum(axis=0))
    distinct, index = np.unique(codes, return_inverse=True)
    windows = distinct[None] // powers[..., 0] % n
    return windows.astype(np.int32), index.reshape(instances.shape).astype(np.int32)
