"""The same outcomes for policies on cycles, found through windows: a hundred times cheaper when many cycles are evaluated.

A node's output depends on the 2r + 1 vertices around it and on nothing else, where r is the model's receptive field. The
181,440 cycles through ten vertices have 1,814,400 nodes but for r = 2 only 15,120 different windows of five (up to
reversal). Each window is run once per seed, as a small cycle whose middle node sees exactly what it would see in the large
one; the cycles are then put together by looking their nodes up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from es_randomized.compilation import jit
from es_randomized.evaluation.outcomes import blocks, numbered, over_blocks, repeat
from es_randomized.evaluation.pooled import Size, can_pool, of_whole_groups, running_votes
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.models.model import Model
from es_randomized.policy import Policy
from es_randomized.tasks.cycle_colouring import CycleColouring, Observations
from es_randomized.tasks.task import Outcome, Task

WINDOWS_PER_STEP = 240
INSTANCES_PER_STEP = 2048


def window_radius(task: Task, model: Model) -> int | None:
    """How far a window reaches from its middle, or None where windows are not known to be smaller than the cycles."""
    if not isinstance(task, CycleColouring):
        return None
    radius = model.receptive_field(task.interface)
    return radius if radius is not None and 2 * radius + 1 < task.n else None


@dataclass(frozen=True)
class WindowOutcomes:
    """What comes of every instance in every run; losses are not computed."""

    task: CycleColouring
    model: Model

    @staticmethod
    def applies(task: Task, model: Model) -> bool:
        """Whether windows are smaller than the cycles."""
        return window_radius(task, model) is not None

    def __call__(self, runs: RepeatedRuns, instances: Int[np.ndarray, "position instance"]) -> Outcome:
        """Success and answer `[instance, run]`, and no loss."""
        windows, index = distinct_windows(np.asarray(instances), self._radius, self.task.n)
        colours = over_blocks(self._windows, runs, numbered(windows), WINDOWS_PER_STEP)
        return Outcome(None, *self._of_cycles(colours, index, instances))  # type: ignore[arg-type]

    def with_votes(
        self, runs: RepeatedRuns, instances: Int[np.ndarray, "position instance"], sizes: Sequence[int]
    ) -> tuple[Outcome, dict[int, Bool[np.ndarray, "instance vote"]]]:
        """The same, and whether pooled votes are right, as `Outcomes.with_votes` says it."""
        if not sizes or not can_pool(self.task, runs):
            return self(runs, instances), {}
        windows, index = distinct_windows(np.asarray(instances), self._radius, self.task.n)
        shared = (runs, np.array(sizes, np.int32))
        alone, votes = over_blocks(self._voting_windows, shared, numbered(windows), WINDOWS_PER_STEP)
        colours = [np.asarray(alone), *of_whole_groups(np.asarray(votes), sizes).values()]
        success, answer = self._of_cycles(np.concatenate(colours, axis=1), index, instances)
        ends = np.cumsum([part.shape[1] for part in colours])
        of_runs, *of_votes = np.split(success, ends[:-1], axis=1)
        outcome = Outcome(None, of_runs, answer[:, : ends[0]])  # type: ignore[arg-type]
        return outcome, dict(zip(sizes, of_votes, strict=True))

    def program(
        self, runs: RepeatedRuns, instances: Int[np.ndarray, "position instance"], sizes: Sequence[int]
    ) -> tuple[Any, tuple[Any, ...]]:
        """What runs on a device for every block of windows, and its arguments; see `Outcomes.program`."""
        windows, _ = distinct_windows(np.asarray(instances)[:, :1], self._radius, self.task.n)
        block = next(blocks(numbered(windows), WINDOWS_PER_STEP))
        if not sizes or not can_pool(self.task, runs):
            return self._windows, (runs, block)
        return self._voting_windows, ((runs, np.array(sizes, np.int32)), block)

    def _of_cycles(
        self,
        colours: UInt8[Array | np.ndarray, "window run"],
        index: Int[np.ndarray, "position instance"],
        instances: Int[np.ndarray, "position instance"],
    ) -> tuple[Bool[np.ndarray, "instance run"], Int[np.ndarray, "instance run"]]:
        """Success and answer of cycles that are put together from windows."""
        lookup = (index, np.asarray(instances))
        success, answer = over_blocks(self._assemble, colours, lookup, INSTANCES_PER_STEP)
        return np.asarray(success), np.asarray(answer)

    @cached_property
    def _radius(self) -> int:
        radius = window_radius(self.task, self.model)
        assert radius is not None, "see `applies`"
        return radius

    @cached_property
    def _windows(self) -> Callable[..., UInt8[Array, "window run"]]:
        return jit(self._window_colours, self.model.precision)

    @cached_property
    def _voting_windows(self) -> Callable[..., tuple[UInt8[Array, "window run"], UInt8[Array, "window run size"]]]:
        return jit(self._voting_colours, self.model.precision)

    @cached_property
    def _assemble(self) -> Callable[..., tuple[Array, Array]]:
        return jit(self._assembled)

    def _window_colours(
        self, runs: RepeatedRuns, block: tuple[Int[Array, "position window"], Int[Array, " window"]]
    ) -> UInt8[Array, "window run"]:
        """Colour of every window's middle node."""
        windows, ids = block

        def one(run: Int[Array, ""]) -> UInt8[Array, " window"]:
            policy, (tokens, _) = self._met(runs, run, windows, ids)
            return _likeliest(policy(tokens)[:, self._radius])

        return jax.lax.map(one, jnp.arange(runs.size)).T

    def _voting_colours(
        self, shared: tuple[RepeatedRuns, Size], block: tuple[Int[Array, "position window"], Int[Array, " window"]]
    ) -> tuple[UInt8[Array, "window run"], UInt8[Array, "window run size"]]:
        """The same, and what runs together find the likeliest colour."""
        (runs, sizes), (windows, ids) = shared, block

        def one(run: Int[Array, ""]) -> tuple[Float[Array, "colour window"], UInt8[Array, " window"]]:
            policy, observed = self._met(runs, run, windows, ids)
            log_chances = self.task.log_chances(policy, observed)[:, self._radius]
            return log_chances, _likeliest(policy(observed[0])[:, self._radius])

        votes, alone = running_votes(one, runs.size, sizes, _likeliest)
        return alone.T, votes.transpose(2, 0, 1)

    def _met(
        self,
        runs: RepeatedRuns,
        run: Int[Array, ""],
        windows: Int[Array, "position window"],
        ids: Int[Array, " window"],
    ) -> tuple[Policy, Observations]:
        """The policy of a run, and what it sees of the windows as small cycles."""
        observations = self.task.observe(windows, repeat(runs.seed(run), WINDOWS_PER_STEP))
        return runs.policy(run, self.task, self.model, ids[0], nodes=2 * self._radius + 1), observations

    def _assembled(
        self,
        colours: UInt8[Array, "window run"],
        lookup: tuple[Int[Array, "position instance"], Int[Array, "position instance"]],
    ) -> tuple[Bool[Array, "instance run"], Int[Array, "instance run"]]:
        """Success and answer of a block of cycles."""
        index, instances = lookup

        def one(of_windows: UInt8[Array, " window"]) -> tuple[Bool[Array, " instance"], Int[Array, " instance"]]:
            return self.task.judge(of_windows[index].astype(jnp.int32), instances)

        success, answer = jax.lax.map(one, colours.T)
        return success.T, answer.T


def _likeliest(logits: Float[Array, "colour window"]) -> UInt8[Array, " window"]:
    return jnp.argmax(logits, axis=0).astype(jnp.uint8)


def distinct_windows(
    instances: Int[np.ndarray, "position instance"], radius: int, n: int
) -> tuple[Int[np.ndarray, "window_position window"], Int[np.ndarray, "position instance"]]:
    """The different windows of 2 * radius + 1 vertices up to reversal, and which one stands around every node."""
    offsets = range(-radius, radius + 1)
    around = np.stack([np.roll(instances, -offset, axis=0) for offset in offsets]).astype(np.int64)
    if n ** (2 * radius + 1) > np.iinfo(np.int64).max:
        return _ranked(around)
    powers = (n ** np.arange(2 * radius + 1))[:, None, None]
    codes = np.minimum((around * powers).sum(axis=0), (around[::-1] * powers).sum(axis=0))
    distinct, index = np.unique(codes, return_inverse=True)
    windows = distinct[None] // powers[..., 0] % n
    return windows.astype(np.int32), index.reshape(instances.shape).astype(np.int32)


def _ranked(
    around: Int[np.ndarray, "window_position position instance"],
) -> tuple[Int[np.ndarray, "window_position window"], Int[np.ndarray, "position instance"]]:
    """The same where a window as one number would not fit 64 bits: windows are told apart by their ranks."""
    vertices = around.reshape(len(around), -1)
    ranks = np.zeros(2 * vertices.shape[1], np.int64)
    for forward, backward in zip(vertices, vertices[::-1], strict=True):
        ranks = np.unique(ranks * (vertices.max() + 1) + np.concatenate([forward, backward]), return_inverse=True)[1]
    either = np.minimum(*np.split(ranks, 2))
    _, first, index = np.unique(either, return_index=True, return_inverse=True)
    return vertices[:, first].astype(np.int32), index.reshape(around.shape[1:]).astype(np.int32)
