"""What a task is: a family of instances, a source of seeds, and a rollout of a policy on both."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from es_randomized.policy import Interface, Policy

Instances = Any  # a pytree of arrays whose last axis is `instance` (or `case` once paired with seeds)
Seeds = Any  # a pytree of arrays whose last axis is `seed` (or `case`)
Observations = Any  # what a policy will see of the cases, prepared once for all members


class Outcome(NamedTuple):
    """What came of every case."""

    loss: Float[Array, " case"]  # in task units, lower is better
    success: Bool[Array, " case"]  # the argmax answer is right
    answer: Int[Array, " case"]  # the whole argmax answer as one number; equal numbers, equal answers


class Reference(NamedTuple):
    """A number to hold a learned policy against: success rates in [0, 1], None where not known.

    Attributes:
        name: what it is.
        average, p95, worst: success over instances.
        kind: exact (a proof or an exact computation is in this package), or paper (read off a figure, +-0.02).
    """

    name: str
    average: float | None
    p95: float | None
    worst: float | None
    kind: Literal["exact", "paper"]


class Task(ABC):
    """One family of inputs an adversary picks from. Implementations are frozen settings; `kind` is their file's name."""

    version: ClassVar[int]  # raised only when behaviour changes
    differentiable: ClassVar[bool] = True  # whether the loss of `rollout` has a useful gradient in the weights

    @property
    @abstractmethod
    def interface(self) -> Interface:
        """What a model must take and return."""

    @abstractmethod
    def sample(self, key: Key[Array, ""], count: int) -> Instances:
        """`count` independent instances from the training distribution."""

    @abstractmethod
    def enumerate(self) -> np.ndarray | None:
        """All distinct instances, last axis `instance`, or None where there are too many to list."""

    @abstractmethod
    def seeds(self, key: Key[Array, ""], count: int) -> Seeds:
        """`count` independent random seeds, the only randomness a policy receives."""

    @abstractmethod
    def observe(self, instances: Instances, seeds: Seeds) -> Observations:
        """Everything of the cases that does not depend on the policy; both arguments end in the axis `case`."""

    @abstractmethod
    def rollout(self, policy: Policy, observations: Observations) -> Outcome:
        """Run the policy on every case."""

    def sampled_rollout(
        self, policy: Policy, observations: Observations, key: Key[Array, ""]
    ) -> tuple[Outcome, Float[Array, " case"]]:
        """Like `rollout` with actions sampled from the policy's logits, and the log-probability of those taken in a case.

        Optional: gradient descent needs it where a task is not differentiable. The log-probability carries the gradient;
        it has the shape of `Outcome.loss`.
        """
        raise NotImplementedError

    @abstractmethod
    def references(self) -> list[Reference]:
        """What is known about this task: the exact optimum first, then classical algorithms and the paper's figures."""
