"""Run a policy many times on many instances, on all devices of this process, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from es_randomized.compilation import jit
from es_randomized.errors import ConfigError
from es_randomized.evaluation.pooled import Size, can_pool, of_whole_groups, running_votes
from es_randomized.evaluation.randomness import RepeatedRuns
from es_randomized.fitness import unraveller
from es_randomized.models.model import Model
from es_randomized.policy import Policy
from es_randomized.precision import widened
from es_randomized.tasks.task import Bundles, Observations, Outcome, Seeds, Task

T = TypeVar("T")
VARIANTS_PER_STEP = 128  # instances run side by side
BOUND_SLACK = 1e-4  # relative, by which rounding may move a loss past a bound


@dataclass(frozen=True)
class Outcomes:
    """What comes of every instance in every run."""

    task: Task
    model: Model

    def __call__(self, runs: RepeatedRuns, bundles: Bundles) -> Outcome:
        """Arrays `[instance, run]`, instances bundle by bundle.

        Raises:
            ConfigError: the task is wrong about the bounds of its loss.
        """
        return self._by_instance(over_blocks(self._program, runs, numbered(bundles), self._bundles_per_step))

    def with_votes(
        self, runs: RepeatedRuns, bundles: Bundles, sizes: Sequence[int]
    ) -> tuple[Outcome, dict[int, Bool[np.ndarray, "instance vote"]]]:
        """The same, and whether the pooled vote of k runs is right, by k, for every group of k runs.

        There are no votes where nothing can be pooled.
        """
        if not sizes or not can_pool(self.task, runs):
            return self(runs, bundles), {}
        shared = (runs, np.array(sizes, np.int32))
        by_bundle, votes = over_blocks(self._voting_program, shared, numbered(bundles), self._bundles_per_step)
        return self._by_instance(by_bundle), of_whole_groups(np.asarray(votes).reshape(-1, *votes.shape[-2:]), sizes)

    def program(self, runs: RepeatedRuns, bundles: Bundles, sizes: Sequence[int]) -> tuple[Any, tuple[Any, ...]]:
        """What runs on a device for every block of instances, and its arguments.

        Args:
            runs: or their shapes.
            bundles: one at least.
            sizes: of votes.
        """
        block = next(blocks(numbered(bundles), self._bundles_per_step))
        if not sizes or not can_pool(self.task, runs):
            return self._program, (runs, block)
        return self._voting_program, ((runs, np.array(sizes, np.int32)), block)

    def _by_instance(self, by_bundle: Outcome) -> Outcome:
        return within_bounds(self.task, jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), by_bundle))

    @property
    def _bundles_per_step(self) -> int:
        return max(1, VARIANTS_PER_STEP // self.task.bundle)

    @cached_property
    def _program(self) -> Callable[..., Outcome]:
        return jit(self._block, self.model.precision)

    @cached_property
    def _voting_program(self) -> Callable[..., tuple[Outcome, Bool[Array, "bundle variant run size"]]]:
        return jit(self._voting_block, self.model.precision)

    def _block(self, runs: RepeatedRuns, block: tuple[Bundles, Int[Array, " bundle"]]) -> Outcome:
        """Outcomes [bundle, variant, run]: one run after the other, all instances of the block side by side."""
        outcomes = jax.lax.map(lambda run: self.task.rollout(*self._met(runs, run, block)), jnp.arange(runs.size))
        return jax.tree.map(_runs_last, outcomes)

    def _voting_block(
        self, shared: tuple[RepeatedRuns, Size], block: tuple[Bundles, Int[Array, " bundle"]]
    ) -> tuple[Outcome, Bool[Array, "bundle variant run size"]]:
        """The same, with what the runs so far decide together; the compiler sees that both want one pass of the policy."""
        (runs, sizes), (bundles, _) = shared, block
        anyone = self._observed(runs, jnp.int32(0), bundles)

        def one(run: Int[Array, ""]) -> tuple[Array, Outcome]:
            policy, observed = self._met(runs, run, block)
            return self.task.log_chances(policy, observed), self.task.rollout(policy, observed)

        votes, outcomes = running_votes(one, runs.size, sizes, lambda total: self.task.decide(total, anyone))
        return jax.tree.map(_runs_last, outcomes), votes.transpose(3, 2, 0, 1)

    def _met(
        self, runs: RepeatedRuns, run: Int[Array, ""], block: tuple[Bundles, Int[Array, " bundle"]]
    ) -> tuple[Policy, Observations]:
        """The policy of a run, and what it sees of a block."""
        bundles, ids = block
        return runs.policy(run, self.task, self.model, ids[0]), self._observed(runs, run, bundles)

    def _observed(self, runs: RepeatedRuns, run: Int[Array, ""], bundles: Bundles) -> Observations:
        observed = self.task.observe(bundles, repeat(runs.seed(run), self._bundles_per_step))
        return widened(observed, self.model.precision)


def _runs_last(x: Shaped[Array, "run variant bundle"]) -> Shaped[Array, "bundle variant run"]:
    return jnp.moveaxis(x, (0, 1, 2), (2, 1, 0))


def bind(task: Task, model: Model, weights: Float[Array, " param"]) -> Policy:
    """The policy of flat weights."""
    return model.policy(widened(unraveller(model, task)(weights), model.precision), task.interface)


def repeat(seed: Seeds, count: int) -> Seeds:
    """One seed for `count` cases."""
    return jax.tree.map(lambda x: jnp.repeat(x[..., None], count, axis=-1), seed)


def numbered(columns: T) -> tuple[T, Int[np.ndarray, " column"]]:
    """Columns with their numbers, by which a program can tell its blocks apart."""
    return columns, np.arange(_count(columns), dtype=np.int32)


def over_blocks(program: Callable[..., T], shared: object, columns: object, size: int) -> T:
    """Apply program(shared, block) to blocks of `size` of the last axis of `columns`, dealt out over all devices.

    Args:
        shared: a pytree that every block needs.
        columns: a pytree of arrays with the same last axis.

    Returns:
        The program's results, joined along their first axis; a short last block is filled up and cut again.
    """
    devices = jax.local_devices()
    placed = [jax.device_put(shared, device) for device in devices]
    results = []
    for index, block in enumerate(blocks(columns, size)):
        device = index % len(devices)
        results.append(program(placed[device], jax.device_put(block, devices[device])))
    count = _count(columns)
    return jax.tree.map(lambda *parts: np.concatenate([np.asarray(part) for part in parts])[:count], *results)


def _count(columns: object) -> int:
    return int(jax.tree.leaves(columns)[0].shape[-1])


def blocks(columns: T, size: int) -> Iterator[T]:
    """Of `size` entries of the last axis each; the last one is filled up."""
    count = _count(columns)
    for start in range(0, count, size):
        ids = np.minimum(np.arange(start, start + size), count - 1)
        yield jax.tree.map(lambda x, ids=ids: np.asarray(x)[..., ids], columns)


def within_bounds(task: Task, outcome: Outcome) -> Outcome:
    """Outcomes without the rounding that moved losses past a bound.

    Raises:
        ConfigError: the task is wrong about its bounds.
    """
    bounds = task.loss_bounds
    if not np.isfinite(bounds).any():
        return outcome
    losses = np.asarray(outcome.loss)
    for bound, extreme, sign in zip(bounds, (losses.min(), losses.max()), (-1, 1), strict=True):
        if sign * (extreme - bound) > BOUND_SLACK * max(1.0, abs(bound)):
            raise ConfigError(
                f"{type(task).__name__} says that its losses lie between {bounds.low:g} and {bounds.high:g}, but one is "
                f"{extreme:g}; correct its loss_bounds"
            )
    return outcome._replace(loss=np.clip(losses, *bounds))
