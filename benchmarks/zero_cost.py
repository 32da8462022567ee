"""A task whose rollout costs nothing, to time everything around rollouts."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from es_randomized.connectivity import Ring
from es_randomized.policy import Interface, Policy
from es_randomized.settings import settings
from es_randomized.tasks.task import Outcome, Reference, Task


@settings
class ZeroCost(Task):
    """One token in, one number out, which is the loss."""

    version: ClassVar[int] = 1

    @property
    def interface(self) -> Interface:
        return Interface(features=1, outputs=1, nodes=2, connectivity=Ring())

    def sample(self, key, count):
        return jnp.zeros((1, count))

    def enumerate(self):
        return np.zeros((1, 1), np.float32)

    def seeds(self, key, count):
        return jax.random.uniform(key, (1, count))

    def observe(self, bundles, seeds):
        return (bundles + seeds)[:, None]

    def rollout(self, policy: Policy, observations) -> Outcome:
        loss = policy(jnp.concatenate([observations] * 2, axis=1))[0, :1]
        return Outcome(loss, loss > 0, jnp.zeros(loss.shape, jnp.int32))

    def references(self) -> list[Reference]:
        return []
