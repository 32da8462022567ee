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
from es_randomized.models.blocks import Blocks, BlocksPolicy, matrix_entries
from es_randomized.models.layers.renewed import renewed
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
        last: the loss that is trained is the mean over so many of the last turns, each read as if it were the last one, or over
            all turns where there are fewer. Evaluation reads the last one alone.
        fresh: whether every turn after the first sees other random numbers in place of its seed: uniform ones on [0, 1),
            made of the seed.
    """

    loops: Size = 4
    block: Annotated[Model, PartOfKind("model")] = Field(default_factory=lambda: Transformer(blocks=1))
    last: Size = 1
    fresh: bool = False

    @property
    def precision(self) -> Precision:  # type: ignore[override]
        """Of the block."""
        return self.block.precision

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        return self.block.init(key, interface)

    def policy(self, weights: Weights, interface: Interface) -> Policy:
        return LoopedPolicy(self, self._blocks.policy(weights, interface), self.loops)

    def trained(self, weights: Weights, interface: Interface) -> list[Policy]:
        """One for each of the last turns; all tokens at once, they share the turns they have in common."""
        inner = self._blocks.policy(weights, interface)
        ends = range(self.loops, max(0, self.loops - self.last), -1)
        return [LoopedPolicy(self, inner, turns) for turns in ends]

    def flops(self, interface: Interface) -> int:
        """Of all turns; tokens are embedded again in every turn where it sees other random numbers."""
        shapes = self.shapes(interface)
        again = sum(matrix_entries(shapes[part]) for part in ("embed", "stem") if part in shapes) if self.fresh else 0
        return self._blocks.flops_of_turns(interface, self.loops) + 2 * (self.loops - 1) * again

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
        if self.fresh and not interface.seed_features:
            raise ConfigError(
                "model.fresh: random numbers of later turns are made of the seed, and this task does not say which features of a "
                "token are the seed; give its interface seed_features"
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
    turns: int

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        interface, cases = self.inner.interface, tokens.shape[-1]
        given = self._given(tokens.reshape(tokens.shape[0], -1))
        x = jnp.zeros_like(given[0])
        for turn, added in enumerate(given):
            last = turn == self.turns - 1
            x = self.inner.thought(x + added, cases, interface.connectivity.silent if last else 0)
        return self.inner.read(x).reshape(interface.outputs, -1, cases)

    def empty(self, cases: int) -> Memory:
        return [self.inner.empty(cases) for _ in range(self.turns)]

    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        given = self._given(token)
        x, turns = jnp.zeros_like(given[0]), []
        for turn, added in zip(memory, given, strict=True):
            x, turn = self.inner.thought_on(turn, x + added, slot, active)
            turns.append(turn)
        return self.inner.read(x), turns

    def _given(self, tokens: Float[Array, "feature column"]) -> list[Float[Array, "width column"]]:
        """What every turn is given: the embedded tokens."""
        embedded = self.inner.embedded(tokens)
        if not self.model.fresh:
            return [embedded] * self.turns
        seed = self.inner.interface.seed_features
        before, own, after = tokens[: seed.start], tokens[seed.start : seed.stop], tokens[seed.stop :]
        others = (jnp.concatenate([before, renewed(own, turn), after]) for turn in range(1, self.turns))
        return [embedded, *(self.inner.embedded(tokens) for tokens in others)]

    def trace(self, memory: Memory) -> Memory:
        return [self.inner.trace(turn) for turn in memory]

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return [self.inner.branch(turn, trace, slots, parents) for turn, trace in zip(memory, traces, strict=True)]
