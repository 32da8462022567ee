"""Models of pre-norm blocks: E += mix(norm(E)); E += down(act(up(norm(E)))). What mixes tokens is each kind's own.

Layer norms have no parameters of their own: a gain would fold into the next matrix, and evolution strategies pay for every
extra dimension. MLPs and norms can be left out.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from es_randomized import rng
from es_randomized.errors import ConfigError
from es_randomized.models.model import Model
from es_randomized.models.units import Axes, Path, Units, inside
from es_randomized.perturbed import WeightMatrix, centred
from es_randomized.policy import Active, Interface, Memory, Policy, Slot, Weights
from es_randomized.precision import rounded

EPSILON = 1e-6
HIDDEN: Axes = {"up": (0,), "up_bias": (0,), "down": (1,)}  # of an MLP
TOKENS: Axes = {"up": (1,), "down": (0,), "down_bias": (0,)}


class Blocks(Model):
    """A model of blocks. Its weights are embed, blocks, readout, readout_bias and, with a stem, stem.

    Attributes:
        width: features of a token between blocks.
        blocks: how many there are.
        hidden: features inside the MLP of a block; None: blocks without one.
        activation: of the MLPs.
        norm: before every mixing, every MLP and the read-out: layer, or none.
        stem: hidden features of an MLP before the first block; None: there is none.
    """

    width: int
    blocks: int
    hidden: int | None
    activation: Literal["relu", "gelu"]
    norm: Literal["layer", "none"]
    stem: int | None

    @abstractmethod
    def applied(self, weights: Weights, interface: Interface) -> "BlocksPolicy":
        """The policy of weights that are rounded already where the precision says so."""

    def policy(self, weights: Weights, interface: Interface) -> "BlocksPolicy":
        return self.applied(rounded(weights) if self.precision == "bfloat16" else weights, interface)

    def flops(self, interface: Interface) -> int:
        return self.flops_of_turns(interface, 1)

    def flops_of_turns(self, interface: Interface, turns: int) -> int:
        """The same where all blocks are applied so many times."""
        shapes = self.shapes(interface)
        return 2 * (matrix_entries(shapes) + (turns - 1) * matrix_entries(shapes["blocks"]))

    def dropout(self, weights: Weights, key: Key[Array, ""], rate: float) -> Weights:
        """Hidden units of the MLPs are dropped, the stem's too.

        Raises:
            ConfigError: there is neither an MLP nor a stem.
        """
        if not self.hidden and not self.stem:
            raise ConfigError("dropout drops hidden units, and with model.hidden and model.stem null there are none")

        def thinned(mlp: Weights, number: int) -> Weights:
            kept = jax.random.bernoulli(rng.inside(key, number), 1 - rate, mlp["down"].shape[-1:])
            return mlp | {"down": mlp["down"] * jnp.where(kept, 1 / (1 - rate), 0.0)[None]}

        blocks = weights["blocks"]
        if self.hidden:
            blocks = [thinned(block, number) for number, block in enumerate(blocks)]
        stem = {"stem": thinned(weights["stem"], len(blocks))} if self.stem else {}
        return weights | {"blocks": blocks} | stem

    def interchangeable(self, interface: Interface) -> list[Units]:
        """Features of tokens, hidden units of every MLP, and what a kind says of its mixing."""
        blocks: list[Path] = [("blocks", number) for number in range(self.blocks)]
        mlps: dict[Path, int] = {("stem",): self.stem} if self.stem else {}
        mlps |= dict.fromkeys(blocks, self.hidden) if self.hidden else {}
        found = [Units(f"hidden units of {_named(mlp)}", size, inside(mlp, HIDDEN)) for mlp, size in mlps.items()]
        for block in blocks:
            for units in self.mixing_units(interface):
                found.append(Units(f"{units.name} of {_named(block)}", units.count, units.inside(block).axes))
        mixing = self.token_axes()
        if mixing is None:
            return found
        width: dict[Path, tuple[int, ...]] = {("embed",): (0,), ("readout",): (1,)}
        for part, axes in [(mlp, TOKENS) for mlp in mlps] + [(block, mixing) for block in blocks]:
            width |= inside(part, axes)
        return [Units("features of tokens", self.width, width), *found]

    def token_axes(self) -> Axes | None:
        """Where features of tokens stand in a block's leaves that mix tokens; None: nothing is known."""
        return None

    def mixing_units(self, interface: Interface) -> list[Units]:
        """Interchangeable units among a block's leaves that mix tokens."""
        return []

    @property
    def skip(self) -> float:
        """Scale of fresh matrices before a skip connection: 1/(2 sqrt(layers)), mixing and MLP a layer each."""
        return 0.5 / (self.blocks * (1 + bool(self.hidden)) + bool(self.stem)) ** 0.5

    def _fresh(
        self, draws: Iterator[Array], interface: Interface, mixing: Callable[[Iterator[Array]], Weights]
    ) -> Weights:
        """Fresh weights: truncated normals of variance 1/fan-in, biases 0."""
        embed = matrix(next(draws), (self.width, interface.features))
        blocks = [self._block(draws, mixing) for _ in range(self.blocks)]
        readout = matrix(next(draws), (interface.outputs, self.width))
        weights = {"embed": embed, "blocks": blocks, "readout": readout, "readout_bias": jnp.zeros(interface.outputs)}
        return weights | {"stem": self._mlp(draws, self.stem)} if self.stem else weights

    def _block(self, draws: Iterator[Array], mixing: Callable[[Iterator[Array]], Weights]) -> Weights:
        mixed = mixing(draws)
        return mixed | self._mlp(draws, self.hidden) if self.hidden else mixed

    def _mlp(self, draws: Iterator[Array], hidden: int) -> Weights:
        return {
            "up": matrix(next(draws), (hidden, self.width)),
            "up_bias": jnp.zeros(hidden),
            "down": matrix(next(draws), (self.width, hidden), self.skip),
            "down_bias": jnp.zeros(self.width),
        }


@dataclass(frozen=True)
class BlocksPolicy(Policy):
    """Blocks with their weights. A kind says how tokens are mixed, all at once and one by one.

    With layer norms the tokens between blocks are read through them alone, and they take the mean away. So whatever writes
    into tokens is centred beforehand, a small matrix once per member, and a norm is one factor per column, applied after the
    next product. Without norms tokens are written and read as they are.
    """

    model: Blocks
    weights: Weights
    interface: Interface

    @abstractmethod
    def mix(
        self, block: Weights, x: Float[Array, "width column"], cases: int, silent: int
    ) -> Float[Array, "width read"]:
        """What a block adds to all tokens but those of the first `silent` nodes, from normalised ones."""

    @abstractmethod
    def mix_on(
        self, block: Weights, layer: Any, x: Float[Array, "width case"], slot: Slot, active: Active
    ) -> tuple[Float[Array, "width case"], Any]:
        """What a block adds to one more token, and the block's memory with it."""

    @abstractmethod
    def empty_layer(self, cases: int) -> Any:
        """The memory of one block before the first token."""

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        cases = tokens.shape[-1]
        x = self.embedded(tokens.reshape(tokens.shape[0], -1))
        x = self.thought(x, cases, self.interface.connectivity.silent)
        return self.read(x).reshape(self.interface.outputs, -1, cases)

    def empty(self, cases: int) -> Memory:
        return [self.empty_layer(cases) for _ in range(self.model.blocks)]

    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        x, memory = self.thought_on(memory, self.embedded(token), slot, active)
        return self.read(x), memory

    def embedded(self, tokens: Float[Array, "feature column"]) -> Float[Array, "width column"]:
        """Tokens as the first block takes them."""
        x = self.written(self.weights["embed"]) @ tokens
        return x + self._mlp(self.weights["stem"], x) if self.model.stem else x

    def thought(self, x: Float[Array, "width column"], cases: int, silent: int) -> Float[Array, "width read"]:
        """Tokens after all blocks, without those of the first `silent` nodes."""
        for index, block in enumerate(self.weights["blocks"]):
            unread = silent if index == self.model.blocks - 1 else 0
            added = self.mix(block, self.scaled(x, x), cases, unread)
            x = self._after_mlp(block, x[:, unread * cases :] + added)
        return x

    def thought_on(
        self, memory: Memory, x: Float[Array, "width case"], slot: Slot, active: Active
    ) -> tuple[Float[Array, "width case"], Memory]:
        """One more token after all blocks, and the memory with it."""
        layers = []
        for block, layer in zip(self.weights["blocks"], memory, strict=True):
            added, layer = self.mix_on(block, layer, self.scaled(x, x), slot, active)
            x = self._after_mlp(block, x + added)
            layers.append(layer)
        return x, layers

    def read(self, x: Float[Array, "width column"]) -> Float[Array, "output column"]:
        """Outputs of tokens after the last block."""
        return self.scaled(self.weights["readout"] @ x, x) + self.weights["readout_bias"][:, None]

    def written(self, weight: WeightMatrix) -> WeightMatrix:
        """A matrix or a bias as it writes into tokens."""
        return centred(weight) if self.model.norm == "layer" else weight

    def scaled(self, y: Float[Array, "out column"], x: Float[Array, "width column"]) -> Float[Array, "out column"]:
        """y, a linear function of the tokens x, as it is of the normalised tokens."""
        return y * _scale(x) if self.model.norm == "layer" else y

    def _after_mlp(self, block: Weights, x: Float[Array, "width column"]) -> Float[Array, "width column"]:
        """Tokens after the MLP of a block, if it has one."""
        return x + self._mlp(block, x) if self.model.hidden else x

    def _mlp(self, weights: Weights, x: Float[Array, "width column"]) -> Float[Array, "width column"]:
        activate: Callable[[Array], Array] = getattr(jax.nn, self.model.activation)
        hidden = activate(self.scaled(weights["up"] @ x, x) + weights["up_bias"][:, None])
        return self.written(weights["down"]) @ hidden + self.written(weights["down_bias"])[:, None]


def _named(part: Path) -> str:
    return f"block {part[1]}" if part[0] == "blocks" else "the stem"


def draws_of(key: Key[Array, ""], count: int, longest: int) -> Iterator[Float[Array, " entry"]]:
    """Truncated normals for one matrix after the other, each with a key of its own; one program draws them all."""
    keys = jax.random.split(key, count)
    return iter(jax.vmap(lambda one: jax.random.truncated_normal(one, -2.0, 2.0, (longest,)))(keys))


def matrix(draw: Float[Array, " entry"], shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """The first entries of a draw as a matrix of variance scale^2 / fan-in; the last axis is the fan-in."""
    spread = scale / (shape[-1] ** 0.5 * 0.87962566)  # the standard deviation of a normal truncated at 2
    return spread * draw[: math.prod(shape)].reshape(shape)


def matrix_entries(shapes: Weights) -> int:
    """How many numbers the matrices of a pytree of shapes have."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes) if len(leaf.shape) > 1)


def _scale(x: Float[Array, "width column"]) -> Float[Array, "1 column"]:
    """What layer norm multiplies columns by that have zero mean."""
    return jax.lax.rsqrt(jnp.mean(x * x, axis=0, keepdims=True) + EPSILON)
