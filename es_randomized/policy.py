"""Where tasks and models meet: a task states an `Interface`, a model answers with a `Policy`, and neither knows the other.

Batch-last: a *case* is one rollout of one seed, and every array has the cases as its last axis, `[feature, node, case]`.
A kernel written this way keeps its features in long contiguous runs, which is worth several times the speed of a leading
batch axis on CPUs, and it serves one case or a million alike.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Array, Bool, Float, Int

from es_randomized.connectivity import Connectivity, Single
from es_randomized.errors import ConfigError

Weights = Any  # a pytree of float32 arrays
Memory = Any  # what a policy remembers of the tokens it was given one by one; a pytree whose last axis is `case`
Slot = int | Int[Array, ""]  # where a token stands among those given one by one
Active = bool | Bool[Array, " case"]  # which cases take part in a step


@dataclass(frozen=True)
class Interface:
    """What a task asks of a model.

    Attributes:
        features: length of a token.
        outputs: numbers returned per node.
        nodes: tokens per case that are given at once.
        connectivity: which nodes see which; must be named where there are several.
        horizon: tokens a case may be given one by one, 0 if the task never does.
        seed_features: which of a token's features are its share of the random seed.

    Raises:
        ConfigError: there are several nodes and no connectivity, or no node has an output.
    """

    features: int
    outputs: int
    nodes: int = 1
    connectivity: Connectivity = field(default_factory=Single)
    horizon: int = 0
    seed_features: range = range(0)

    def __post_init__(self) -> None:
        if self.nodes != 1 and isinstance(self.connectivity, Single):
            raise ConfigError(f"an interface of {self.nodes} nodes must say which see which, as in connectivity=Ring()")
        if self.connectivity.silent >= self.nodes:
            raise ConfigError(f"{self.connectivity} leaves no output to read of {self.nodes} nodes")


class Policy(ABC):
    """Weights already applied: all tokens of a case at once, or one by one with a memory."""

    @abstractmethod
    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        """Outputs of all nodes but the silent ones."""

    @abstractmethod
    def empty(self, cases: int) -> Memory:
        """The memory of `cases` cases before their first token."""

    @abstractmethod
    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        """Output for one more token, and the memory with it.

        Args:
            slot: where the token stands, 0 <= slot < horizon; the same for all cases, each slot used once.
            active: which cases take part (bool, all by default); the others' memory does not keep the token.
        """

    @abstractmethod
    def trace(self, memory: Memory) -> Memory:
        """What must be kept of a memory at every step so that `branch` can go back to it."""

    @abstractmethod
    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        """The memory of new cases that share the beginning of older ones.

        Args:
            memory: of the parents, after their last token.
            traces: `trace` after every slot, stacked along a leading axis `slot`.
            slots: how many tokens each child shares, at least 1.
            parents: the case each child comes from.
        """


class Memoryless(Policy):
    """A policy whose output for a node depends on that node's token alone, so that it has nothing to remember."""

    def empty(self, cases: int) -> Memory:
        return ()

    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        return self(token[:, None])[:, 0], memory

    def trace(self, memory: Memory) -> Memory:
        return ()

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return ()


@dataclass(frozen=True)
class Changed(Policy):
    """Another policy with its outputs changed; it remembers what that one does."""

    policy: Policy

    @abstractmethod
    def changed(self, outputs: Float[Array, "..."], slot: Slot | None) -> Float[Array, "..."]:
        """What it says instead; of all tokens at once where there is no slot."""

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        return self.changed(self.policy(tokens), None)

    def empty(self, cases: int) -> Memory:
        return self.policy.empty(cases)

    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        outputs, memory = self.policy.step(memory, token, slot, active)
        return self.changed(outputs, slot), memory

    def trace(self, memory: Memory) -> Memory:
        return self.policy.trace(memory)

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return self.policy.branch(memory, traces, slots, parents)


@dataclass(frozen=True)
class Tempered(Changed):
    """Outputs divided by a temperature: the lower it is, the surer are actions sampled from them."""

    temperature: Float[Array, ""]

    def changed(self, outputs: Float[Array, "..."], slot: Slot | None) -> Float[Array, "..."]:
        return outputs / self.temperature
