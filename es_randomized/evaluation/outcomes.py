"""Run one set of weights on many instances and seeds, on all devices of this process, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from es_randomized.compilation import jit
from es_randomized.fitness import unraveller
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Policy
from es_randomized.tasks.task import Instances, Seeds, Task

INSTANCES_PER_STEP = 128


@dataclass(frozen=True)
class Outcomes:
    """Successes and answers of a policy on every instance with every seed."""

    task: Task
    model: Transformer

    def __call__(
        self, weights: Float[Array, " param"], instances: Instances, seeds: Seeds
    ) -> tuple[Bool[np.ndarray, "instance seed"], Int[np.ndarray, "instance seed"]]:
        """Success and answer, one column per seed."""
        success, answer = over_blocks(self._program, (weights, seeds), instances, INSTANCES_PER_STEP)
        return success, answer

    @cached_property
    def _program(self) -> Any:
        return jit(self._block)

    def _block(self, shared: tuple[Any, Seeds], instances: Instances) -> Any:
        """Success and answer [instance, seed]: one seed after the other, all instances of the block side by side."""
        weights, seeds = shared
        policy = bind(self.task, self.model, weights)

        def with_seed(seed: Any) -> Any:
            outcome = self.task.rollout(policy, self.task.observe(instances, repeat(seed, INSTANCES_PER_STEP)))
            return outcome.success, outcome.answer

        return jax.tree.map(jnp.transpose, jax.lax.map(with_seed, last_axis_first(seeds)))


def bind(task: Task, model: Transformer, weights: Float[Array, " param"]) -> Policy:
    """The policy of flat weights."""
    return model.policy(unraveller(model, task)(weights), task.interface)


def repeat(seed: Any, count: int) -> Any:
    """One seed for `count` cases."""
    return jax.tree.map(lambda x: jnp.repeat(x[..., None], count, axis=-1), seed)


def last_axis_first(tree: Any) -> Any:
    """Every array with its last axis in front, ready to be mapped over."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), tree)


def over_blocks(program: Any, shared: Any, columns: Any, size: int) -> Any:
    """Apply program(shared, block) to blocks of `size` of the last axis of `columns`, dealt out over all devices.

    Returns the program's results joined along their first axis; a short last block is filled up and cut again.
    """
    devices = jax.local_devices()
    placed = [jax.device_put(shared, device) for device in devices]
    results = []
    for index, block in enumerate(_blocks(columns, size)):
        device = index % len(devices)
        results.append(program(placed[device], jax.device_put(block, devices[device])))
    count = _count(columns)
    return jax.tree.map(lambda *parts: np.concatenate([np.asarray(part) for part in parts])[:count], *results)


def _count(columns: Any) -> int:
    return int(jax.tree.leaves(columns)[0].shape[-1])


def _blocks(columns: Any, size: int) -> Iterator[Any]:
    count = _count(columns)
    for start in range(0, count, size):
        ids = np.minimum(np.arange(start, start + size), count - 1)
        yield jax.tree.map(lambda x, ids=ids: np.asarray(x)[..., ids], columns)
