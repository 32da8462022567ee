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
from es_randomized.tasks.task import Instances, Seeds, Task

INSTANCES_PER_STEP = 128


@dataclass(frozen=True)
class Outcomes:
    """Successes and answers of a policy; one compiled program per number of seeds."""

    task: Task
    model: Transformer

    def __call__(
        self, weights: Float[Array, " param"], instances: Instances, seeds: Seeds
    ) -> tuple[Bool[np.ndarray, "instance seed"], Int[np.ndarray, "instance seed"]]:
        """Success and answer of every instance with every seed."""
        pending = [self._dispatch(weights, block, seeds, index) for index, block in enumerate(_blocks(instances))]
        count = _count(instances)
        success, answer = (np.concatenate([np.asarray(block[i]).T for block in pending])[:count] for i in (0, 1))
        return success, answer

    def _dispatch(self, weights: Any, block: Instances, seeds: Seeds, index: int) -> Any:
        devices = jax.local_devices()
        return self._program(*jax.device_put((weights, block, seeds), devices[index % len(devices)]))

    @cached_property
    def _program(self) -> Any:
        return jit(self._block)

    def _block(self, weights: Float[Array, " param"], instances: Instances, seeds: Seeds) -> Any:
        """Success and answer [seed, instance]: one seed after the other, all instances of the block side by side."""
        policy = self.model.policy(unraveller(self.model, self.task)(weights), self.task.interface)

        def with_seed(seed: Any) -> Any:
            repeated = jax.tree.map(lambda x: jnp.repeat(x[..., None], INSTANCES_PER_STEP, axis=-1), seed)
            outcome = self.task.rollout(policy, self.task.observe(instances, repeated))
            return outcome.success, outcome.answer

        return jax.lax.map(with_seed, jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), seeds))


def _count(instances: Instances) -> int:
    return int(jax.tree.leaves(instances)[0].shape[-1])


def _blocks(instances: Instances) -> Iterator[Instances]:
    """Instances in blocks of one size; the last is filled up with the last instance."""
    count = _count(instances)
    for start in range(0, count, INSTANCES_PER_STEP):
        ids = np.minimum(np.arange(start, start + INSTANCES_PER_STEP), count - 1)
        yield jax.tree.map(lambda x: x[..., ids], instances)  # noqa: B023
