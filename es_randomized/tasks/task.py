"""What a task is: a family of instances, a source of seeds, and a rollout of a policy on both.

A *bundle* is a set of instances that share most of their rollout: all queries to one store, all treasures of one grid.
A *case* is one bundle with one seed; what comes of it has the axes `[variant, case]`, one variant per instance of the
bundle. Where nothing is shared a bundle is one instance.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from es_randomized.errors import ConfigError
from es_randomized.input_kinds import InputKinds
from es_randomized.policy import Interface, Policy
from es_randomized.tasks.decisions import Decisions
from es_randomized.tasks.measure import SUCCESS, Bounds, Measure

Bundles = Any  # a pytree of arrays whose last axis is `bundle` (or `case` once paired with seeds)
Seeds = Any  # a pytree of arrays whose last axis is `seed` (or `case`)
Observations = Any  # what a policy will see of the cases, prepared once for all members


class Outcome(NamedTuple):
    """What came of every case."""

    loss: Float[Array, "variant case"]  # in task units, lower is better
    success: Bool[Array, "variant case"]  # the argmax answer is right
    answer: Int[Array, "variant case"]  # the whole argmax answer as one number; equal numbers, equal answers


class Reference(NamedTuple):
    """A number to hold a learned policy against, None where not known.

    Attributes:
        name: what it is.
        average, p95, worst: over instances, of the task's measure: success rates in [0, 1], or losses in task units.
        kind: exact (of the best there is: a proof or an exact computation is in this package), algorithm (exact too, but of
            one algorithm or class of them, and others may be better), or paper (read off a figure, +-0.02).
    """

    name: str
    average: float | None
    p95: float | None
    worst: float | None
    kind: Literal["exact", "algorithm", "paper"]


class Task(ABC):
    """One family of inputs an adversary picks from. Implementations are frozen settings; `kind` is their module's name."""

    version: ClassVar[int]  # raised only when behaviour changes
    chance: ClassVar[Literal["one_of", "bits"]] = "one_of"  # what its outputs are distributions over

    def __init_subclass__(cls) -> None:
        """Refuse what tasks said before they had a measure: it would be ignored."""
        old = [name for name in ("headline", "largest_loss") if name in vars(cls)]
        if old:
            raise ConfigError(
                f"{cls.__name__} has {', '.join(old)}, which tasks no longer have; give it the properties `measure`, such as "
                'Measure("loss", "total steps", self.loss_bounds), and `loss_bounds`, such as Bounds(0.0, 10.0)'
            )

    @property
    def differentiable(self) -> bool:
        """Whether the loss has a useful gradient in the weights; a task of which it never has says `differentiable = False`."""
        return True

    @property
    @abstractmethod
    def interface(self) -> Interface:
        """What a model must take and return."""

    @property
    def bundle(self) -> int:
        """Instances per bundle."""
        return 1

    @property
    def tokens(self) -> int:
        """Tokens a policy computes for one case while training, at most."""
        return self.interface.nodes

    @property
    def at_once(self) -> int:
        """Tokens of one case that a policy is given at once, at most; the instances of a bundle may each go their own way."""
        return max(self.interface.nodes, self.bundle)

    @property
    def loss_bounds(self) -> Bounds:
        """No loss lies outside, whatever a policy does; by default nothing is known."""
        return Bounds()

    @property
    def measure(self) -> Measure:
        """What its tables, plots and references are about."""
        return SUCCESS

    @property
    def kinds(self) -> InputKinds | None:
        """What objectives may know of its inputs and seeds; None: nothing, and those that need it refuse the task."""
        return None

    @abstractmethod
    def sample(self, key: Key[Array, ""], count: int) -> Bundles:
        """`count` independent bundles from the training distribution."""

    @abstractmethod
    def enumerate(self) -> np.ndarray | None:
        """All distinct bundles, last axis `bundle`, or None where there are too many to list."""

    def evaluation_sample(self, key: Key[Array, ""], count: int) -> Bundles:
        """`count` bundles to evaluate on where there are too many to list; balanced where that makes sense."""
        return self.sample(key, count)

    def labels(self, bundles: Bundles) -> dict[str, Int[np.ndarray, " instance"]]:
        """Groups of instances worth a number of their own, by name: a group index per instance, bundle by bundle."""
        return {}

    @abstractmethod
    def seeds(self, key: Key[Array, ""], count: int) -> Seeds:
        """`count` independent random seeds, the only randomness a policy receives."""

    @abstractmethod
    def observe(self, bundles: Bundles, seeds: Seeds) -> Observations:
        """Everything of the cases that does not depend on the policy; both arguments end in the axis `case`."""

    def thin(self, observations: Observations, key: Key[Array, ""]) -> Observations:
        """What is played of these cases while training; by default everything.

        A task that leaves out a random part of the work says here which. Averaged over keys, every case must keep its loss.
        Evaluation and held-out checks never call it.
        """
        return observations

    @abstractmethod
    def rollout(self, policy: Policy, observations: Observations) -> Outcome:
        """Run the policy on every case."""

    def sampled_rollout(
        self, policy: Policy, observations: Observations, key: Key[Array, ""]
    ) -> tuple[Outcome, Decisions | Float[Array, "variant case"]]:
        """Like `rollout` with actions sampled from the policy's logits, and the decisions of every case.

        Optional: gradient descent needs it where a task is not differentiable. A task that does not tell its decisions
        apart returns the log-probability of all actions of a case: it carries the gradient and has the shape of `Outcome.loss`.
        """
        raise NotImplementedError

    @property
    def samples_actions(self) -> bool:
        """Whether it has a sampled rollout."""
        return type(self).sampled_rollout is not Task.sampled_rollout

    def log_chances(self, policy: Policy, observations: Observations) -> Float[Array, "*outputs case"]:
        """How likely the policy finds answers: log-odds of bits, or log-probabilities of one class or another.

        Optional, together with `decide`: several runs on an instance are then also added up before they answer (a pooled
        vote). The axes before `case` must mean the same in every run.
        """
        raise NotImplementedError

    def decide(
        self, log_chances: Float[Array, "*outputs case"], observations: Observations
    ) -> Bool[Array, "variant case"]:
        """Whether the likeliest answer is right.

        Args:
            log_chances: of one run, or the sum of several.
            observations: of any of these runs: what is right does not depend on the seed.
        """
        raise NotImplementedError

    @abstractmethod
    def references(self) -> list[Reference]:
        """What is known about this task: the exact optimum first, then classical algorithms and the paper's figures."""
