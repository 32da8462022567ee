"""A block that is applied again and again, with its input put in every time (Yang et al. 2023, arXiv:2311.12424).

Y₀ = 0 and Y ← M(Y + P), where P are the embedded tokens and M the blocks of another model: the same weights in every turn. Fewer
parameters, for which evolution pays; and the number of turns may be another one when the weights are evaluated.
"""

from dataclasses import dataclass
from typing import Annotated, cast

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized.errors import ConfigError
from es_randomized.models.blocks import Blocks, BlocksPolicy
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.models.units import Units
from es_randomized.policy import Active, Interface, Memory, Policy, Slot, Weights
from es_randomized.precision import Precision
from es_randomized.settings import PartOfKind, settings

Size = Annotated[int, Field(ge=1)]


@settings
class Looped(Model):
    """The blocks of a model in a loop.

    Attributes:
        loops: turns. Weights do not depend on it: `evaluate RUN --model.loops 8` scores them with another number.
        block: the model whose blocks are applied in every turn, with a kind and settings as `model:` has them; it embeds tokens
            and reads outputs once. On cycles a turn reaches as far as it does.
    """

    loops: Size = 4
    block: Annotated[Model, PartOfKind("model")] = Field(default_factory=lambda: Transformer(blocks=1))

    @property
    def precision(self) -> Precision:  # type: ignore[override]
        """Of the block."""
        return self.block.precision

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        return self.block.init(key, interface)

    def policy(self, weights: Weights, interface: Interface) -> Policy:
        return LoopedPolicy(self, self._blocks.policy(weights, interface))

    def flops(self, interface: Interface) -> int:
        return self._blocks.flops_of_turns(interface, self.loops)

    def bytes_per_case(self, interface: Interface) -> int:
        return max(self.block.bytes_per_case(interface), 4 * self.memory(interface))

    def receptive_field(self, interface: Interface) -> int | None:
        radius = self.block.receptive_field(interface)
        return None if radius is None else self.loops * radius

    def interchangeable(self, interface: Interface) -> list[Units]:
        """Those of the block."""
        return self.block.interchangeable(interface)

    def dropout(self, weights: Weights, key: Key[Array, ""], rate: float) -> Weights:
        """The same units of the block are dropped in every turn."""
        return self.block.dropout(weights, key, rate)

    def check(self, interface: Interface) -> None:
        if not isinstance(self.block, Blocks):
            raise ConfigError(
                f"model.block: {type(self.block).__name__} has no blocks that a loop could apply again; name another kind, or "
                "derive your model from Blocks (es_randomized.models.blocks)"
            )
        self.block.check(interface)

    @property
    def _blocks(self) -> Blocks:
        return cast(Blocks, self.block)


@dataclass(frozen=True)
class LoopedPolicy(Policy):
    """A loop around blocks with their weights. Token by token every turn has a memory of its own."""

    model: Looped
    inner: BlocksPolicy

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        interface, cases = self.inner.interface, tokens.shape[-1]
        given = self.inner.embedded(tokens.reshape(tokens.shape[0], -1))
        x = jnp.zeros_like(given)
        for turn in range(self.model.loops):
            last = turn == self.model.loops - 1
            x = self.inner.thought(x + given, cases, interface.connectivity.silent if last else 0)
        return self.inner.read(x).reshape(interface.outputs, -1, cases)

    def empty(self, cases: int) -> Memory:
        return [self.inner.empty(cases) for _ in range(self.model.loops)]

    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        given = self.inner.embedded(token)
        x, turns = jnp.zeros_like(given), []
        for turn in memory:
            x, turn = self.inner.thought_on(turn, x + given, slot, active)
            turns.append(turn)
        return self.inner.read(x), turns

    def trace(self, memory: Memory) -> Memory:
        return [self.inner.trace(turn) for turn in memory]

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return [self.inner.branch(turn, trace, slots, parents) for turn, trace in zip(memory, traces, strict=True)]
