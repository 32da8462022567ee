"""Where tasks and models meet: a task states an `Interface`, a model answers with a `Policy`, and neither knows the other.

Batch-last: a *case* is one rollout of one seed, and every array has the cases as its last axis, `[feature, node, case]`.
A kernel written this way keeps its features in long contiguous runs, which is worth several times the speed of a leading
batch axis on CPUs, and it serves one case or a million alike.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int

Weights = Any  # a pytree of float32 arrays
Memory = Any  # what a policy remembers of the tokens it was given one by one; a pytree whose last axis is `case`


class Interface(NamedTuple):
    """What a task asks of a model.

    Attributes:
        features: length of a token.
        outputs: numbers returned per node.
        nodes: tokens per case that are given at once.
        pattern: which nodes attend to which, a name in models/attention.py.
        stored: leading nodes that only store (pattern `store`): no output is read from them.
        horizon: tokens a case may be given one by one, 0 if the task never does.
    """

    features: int
    outputs: int
    nodes: int
    pattern: str
    stored: int = 0
    horizon: int = 0


class Policy(ABC):
    """Weights already applied: all tokens of a case at once, or one by one with a memory."""

    @abstractmethod
    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        """Outputs of all nodes but the stored ones."""

    @abstractmethod
    def empty(self, cases: int) -> Memory:
        """The memory of `cases` cases before their first token."""

    @abstractmethod
    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: int | Int[Array, ""], active: Any = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        """Output for one more token, and the memory with it.

        Args:
            slot: where the token stands, 0 <= slot < horizon; the same for all cases, each slot used once.
            active: which cases take part (bool, all by default); the others' memory does not keep the token.
        """

    @abstractmethod
    def trace(self, memory: Memory) -> Any:
        """What must be kept of a memory at every step so that `branch` can go back to it."""

    @abstractmethod
    def branch(self, memory: Memory, traces: Any, slots: Int[Array, " child"], parents: Int[Array, " child"]) -> Memory:
        """The memory of new cases that share the beginning of older ones.

        Args:
            memory: of the parents, after their last token.
            traces: `trace` after every slot, stacked along a leading axis `slot`.
            slots: how many tokens each child shares, at least 1.
            parents: the case each child comes from.
        """
