"""The pre-LN transformer of arXiv:2408.10818, as a pure function of a pytree of weights.

E += Attention(norm(E)); E += down(act(up(norm(E)))). Layer norms have no parameters of their own: a gain would fold into
the next matrix, and evolution strategies pay for every extra dimension. MLPs and norms can be left out.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized import rng
from es_randomized.connectivity import Causal, Connectivity, Ring, Single, Store
from es_randomized.errors import ConfigError
from es_randomized.models.layers.attention import Head, causal, project, ring, store
from es_randomized.models.layers.memory import MEMORIES, LayerMemory
from es_randomized.models.model import Model
from es_randomized.perturbed import WeightMatrix, centred
from es_randomized.policy import Active, Interface, Memory, Policy, Slot, Weights
from es_randomized.precision import Precision, rounded
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]

EPSILON = 1e-6


@settings
class Transformer(Model):
    """Transformer sizes.

    Attributes:
        width: features of a token between blocks.
        blocks: how often attention and MLP alternate: the radius of what a node can know.
        heads: attention heads.
        key: features of queries, keys and values per head. null: the products KᵀQ and OV are parameters themselves, the
            same family of policies as key = width with half the attention parameters, which evolution pays for.
        hidden: features inside the MLP; null: blocks of attention alone.
        activation: of the MLPs; relu is 1.4 times as fast as gelu on CPUs.
        attention: softmax, or linear: the scores themselves are the weights.
        norm: before every attention, every MLP and the read-out: layer, or none, where the sizes of what is added up over
            tokens tell something.
        stem: hidden features of an MLP before the first attention, so that a token's parts can mix before anything is
            stored of it; null: none.
        precision: of the operands of matrix products; bfloat16 ones are still added up in float32, and all else is float32.
            Made for accelerators; on CPUs it pays for wide models on processors with AMX (docs/kernels.md). float64: of all
            that policies and losses compute, for whoever checks numbers; slow on accelerators.
    """

    width: Size = 16
    blocks: Size = 2
    heads: Size = 1
    key: Size | None = None
    hidden: Size | None = 64
    activation: Literal["relu", "gelu"] = "relu"
    attention: Literal["softmax", "linear"] = "softmax"
    norm: Literal["layer", "none"] = "layer"
    stem: Size | None = None
    precision: Precision = "float32"

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        """Fresh float32 weights: truncated normal with variance 1/fan-in, biases 0 and every matrix before a skip
        connection scaled by 1/(2 sqrt(layers)), where attention and MLP count as a layer each."""
        draws = self._draws(key, interface)
        layers = self.blocks * (1 + bool(self.hidden)) + bool(self.stem)
        skip = 0.5 / layers**0.5
        embed = _matrix(next(draws), (self.width, interface.features))
        blocks = [self._block(draws, skip) for _ in range(self.blocks)]
        readout = _matrix(next(draws), (interface.outputs, self.width))
        weights = {"embed": embed, "blocks": blocks, "readout": readout, "readout_bias": jnp.zeros(interface.outputs)}
        return weights | {"stem": self._mlp(draws, self.stem, skip)} if self.stem else weights

    def flops(self, interface: Interface) -> int:
        attention = 2 * self.width**2 if self.key is None else 4 * self.width * self.key
        mlps = 2 * self.width * (self.blocks * (self.hidden or 0) + (self.stem or 0))
        blocks = self.blocks * self.heads * attention + mlps
        return 2 * (self.width * (interface.features + interface.outputs) + blocks)

    def bytes_per_case(self, interface: Interface) -> int:
        """Of the widest activation alone: counting the memory too would change tiles, and with them the last bits of runs."""
        return 4 * interface.nodes * max(self.hidden or 0, self.width)

    def receptive_field(self, interface: Interface) -> int | None:
        return self.blocks if isinstance(interface.connectivity, Ring) else None

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

    def policy(self, weights: Weights, interface: Interface) -> Policy:
        return TransformerPolicy(self, rounded(weights) if self.precision == "bfloat16" else weights, interface)

    def check(self, interface: Interface) -> None:
        attention_along(interface.connectivity, silent=0)

    def heads_of(self, block: Weights) -> list[Head]:
        """The matrices of every head of a block."""
        if self.key is None:
            return [Head(s, None, None, m) for s, m in zip(block["score"], block["message"], strict=True)]
        query = block["query"] * self.key**-0.5
        return [Head(*parts) for parts in zip(query, block["key"], block["value"], block["output"], strict=True)]

    def _draws(self, key: Key[Array, ""], interface: Interface) -> Iterator[Float[Array, " entry"]]:
        """Truncated normals for one matrix after the other, each with a key of its own; one program draws them all."""
        inner = self.width if self.key is None else self.key
        rows = max(interface.features, interface.outputs, self.hidden or 0, self.stem or 0, self.heads * inner)
        keys = jax.random.split(key, 2 + 6 * self.blocks + 2 * bool(self.stem))
        return iter(jax.vmap(lambda one: jax.random.truncated_normal(one, -2.0, 2.0, (rows * self.width,)))(keys))

    def _block(self, draws: Iterator[Array], skip: float) -> Weights:
        attention = self._attention(draws, skip)
        return attention | self._mlp(draws, self.hidden, skip) if self.hidden else attention

    def _mlp(self, draws: Iterator[Array], hidden: int, skip: float) -> Weights:
        return {
            "up": _matrix(next(draws), (hidden, self.width)),
            "up_bias": jnp.zeros(hidden),
            "down": _matrix(next(draws), (self.width, hidden), skip),
            "down_bias": jnp.zeros(self.width),
        }

    def _attention(self, draws: Iterator[Array], skip: float) -> Weights:
        if self.key is None:
            square = (self.heads, self.width, self.width)
            return {
                "score": _matrix(next(draws), square, self.width**-0.5),
                "message": _matrix(next(draws), square, skip * self.heads**-0.5),
            }
        inward = (self.heads, self.key, self.width)
        return {
            "query": _matrix(next(draws), inward),
            "key": _matrix(next(draws), inward),
            "value": _matrix(next(draws), inward),
            "output": _matrix(next(draws), (self.heads, self.width, self.key), skip * self.heads**-0.5),
        }


@dataclass(frozen=True)
class TransformerPolicy(Policy):
    """A transformer with its weights.

    With layer norms the tokens between blocks are read through them alone, and they take the mean away. So whatever writes
    into tokens is centred beforehand, a small matrix once per member, and a norm is one factor per column, applied after the
    next product. Without norms tokens are written and read as they are.
    """

    model: Transformer
    weights: Weights
    interface: Interface

    def __call__(self, tokens: Float[Array, "feature node case"]) -> Float[Array, "output read case"]:
        cases = tokens.shape[-1]
        x = self._embedded(tokens.reshape(tokens.shape[0], -1))
        softmax = self.model.attention == "softmax"
        for index, block in enumerate(self.weights["blocks"]):
            last = index == self.model.blocks - 1
            silent = self.interface.connectivity.silent if last else 0
            attend = attention_along(self.interface.connectivity, silent)
            normed = self._scaled(x, x)
            added = sum(attend(head, normed, cases, softmax) for head in self._heads(block))
            x = self._thought(block, x[:, silent * cases :] + added)
        return self._read(x).reshape(self.interface.outputs, -1, cases)

    def empty(self, cases: int) -> Memory:
        size = self.model.key or self.model.width
        memory = MEMORIES[self.model.attention]
        return [memory.empty(self.model.heads, size, cases, self.interface.horizon) for _ in range(self.model.blocks)]

    def step(
        self, memory: Memory, token: Float[Array, "feature case"], slot: Slot, active: Active = True
    ) -> tuple[Float[Array, "output case"], Memory]:
        x, layers = self._embedded(token), []
        for block, layer in zip(self.weights["blocks"], memory, strict=True):
            added, layer = self._remember(self._heads(block), layer, self._scaled(x, x), slot, active)
            x = self._thought(block, x + added)
            layers.append(layer)
        return self._read(x), layers

    def trace(self, memory: Memory) -> Memory:
        return [layer.trace() for layer in memory]

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return [layer.branch(trace, slots, parents) for layer, trace in zip(memory, traces, strict=True)]

    def _heads(self, block: Weights) -> list[Head]:
        return [head._replace(output=self._written(head.output)) for head in self.model.heads_of(block)]

    def _remember(
        self, heads: list[Head], layer: LayerMemory, x: Float[Array, "width case"], slot: Slot, active: Active
    ) -> tuple[Float[Array, "width case"], LayerMemory]:
        """What attention adds to the tokens, and the layer's memory with them."""
        projected = project([matrix for head in heads for matrix in head[:3]], x)
        query, key, value = (jnp.stack(projected[which::3]) for which in range(3))
        layer = layer.write(key, value, slot, active)
        return sum(head.output @ read for head, read in zip(heads, layer.read(query), strict=True)), layer

    def _embedded(self, tokens: Float[Array, "feature column"]) -> Float[Array, "width column"]:
        x = self._written(self.weights["embed"]) @ tokens
        return x + self._mlp(self.weights["stem"], x) if self.model.stem else x

    def _thought(self, block: Weights, x: Float[Array, "width column"]) -> Float[Array, "width column"]:
        """Tokens after the MLP of a block, if it has one."""
        return x + self._mlp(block, x) if self.model.hidden else x

    def _mlp(self, weights: Weights, x: Float[Array, "width column"]) -> Float[Array, "width column"]:
        activate: Callable[[Array], Array] = getattr(jax.nn, self.model.activation)
        hidden = activate(self._scaled(weights["up"] @ x, x) + weights["up_bias"][:, None])
        return self._written(weights["down"]) @ hidden + self._written(weights["down_bias"])[:, None]

    def _read(self, x: Float[Array, "width column"]) -> Float[Array, "output column"]:
        return self._scaled(self.weights["readout"] @ x, x) + self.weights["readout_bias"][:, None]

    def _written(self, weight: WeightMatrix) -> WeightMatrix:
        """A matrix or a bias as it writes into tokens."""
        return centred(weight) if self.model.norm == "layer" else weight

    def _scaled(self, y: Float[Array, "out column"], x: Float[Array, "width column"]) -> Float[Array, "out column"]:
        """y, a linear function of the tokens x, as it is of the normalised tokens."""
        return y * _scale(x) if self.model.norm == "layer" else y


def attention_along(connectivity: Connectivity, silent: int) -> Callable[[Head, Array, int, bool], Array]:
    """What one head adds to normalised tokens [width, column], given how many cases there are and whether it has a softmax.

    Args:
        silent: leading nodes whose result nobody reads, 0 or all that the connectivity names.

    Raises:
        ConfigError: no attention is known for this connectivity.
    """
    match connectivity:
        case Ring():
            return ring
        case Causal() | Single():
            return causal
        case Store(stored):
            return partial(store, stored=stored, silent=silent)
    name = type(connectivity).__name__
    raise ConfigError(f"a transformer does not know the connectivity {name}; it can do Single, Ring, Causal and Store")


def _matrix(draw: Float[Array, " entry"], shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """The first entries of a draw as a matrix of variance scale^2 / fan-in; the last axis is the fan-in."""
    spread = scale / (shape[-1] ** 0.5 * 0.87962566)  # the standard deviation of a normal truncated at 2
    return spread * draw[: math.prod(shape)].reshape(shape)


def _scale(x: Float[Array, "width column"]) -> Float[Array, "1 column"]:
    """What layer norm multiplies columns by that have zero mean."""
    return jax.lax.rsqrt(jnp.mean(x * x, axis=0, keepdims=True) + EPSILON)
