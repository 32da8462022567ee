"""The pre-LN transformer of arXiv:2408.10818, as a pure function of a pytree of weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized.connectivity import Causal, Connectivity, Ring, Single, Store
from es_randomized.errors import ConfigError
from es_randomized.models.blocks import Blocks, BlocksPolicy, draws_of, matrix
from es_randomized.models.layers.attention import Head, causal, project, ring, store
from es_randomized.models.layers.memory import MEMORIES, LayerMemory
from es_randomized.models.units import Axes, Units, inside
from es_randomized.policy import Active, Interface, Memory, Slot, Weights
from es_randomized.precision import Precision
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]


@settings
class Transformer(Blocks):
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
        inner = self.width if self.key is None else self.key
        rows = max(interface.features, interface.outputs, self.hidden or 0, self.stem or 0, self.heads * inner)
        draws = draws_of(key, 2 + 6 * self.blocks + 2 * bool(self.stem), rows * self.width)
        return self._fresh(draws, interface, self._attention)

    def bytes_per_case(self, interface: Interface) -> int:
        """Of the widest activation alone: counting the memory too would change tiles, and with them the last bits of runs."""
        return 4 * interface.nodes * max(self.hidden or 0, self.width)

    def receptive_field(self, interface: Interface) -> int | None:
        return self.blocks if isinstance(interface.connectivity, Ring) else None

    def check(self, interface: Interface) -> None:
        attention_along(interface.connectivity, silent=0)

    def applied(self, weights: Weights, interface: Interface) -> "TransformerPolicy":
        return TransformerPolicy(self, weights, interface)

    def token_axes(self) -> Axes:
        if self.key is None:
            return {"score": (1, 2), "message": (1, 2)}
        return {"query": (2,), "key": (2,), "value": (2,), "output": (1,)}

    def mixing_units(self) -> list[Units]:
        return [Units("heads", self.heads, inside((), dict.fromkeys(self.token_axes(), (0,))))]

    def heads_of(self, block: Weights) -> list[Head]:
        """The matrices of every head of a block."""
        if self.key is None:
            return [Head(s, None, None, m) for s, m in zip(block["score"], block["message"], strict=True)]
        query = block["query"] * self.key**-0.5
        return [Head(*parts) for parts in zip(query, block["key"], block["value"], block["output"], strict=True)]

    def _attention(self, draws: Iterator[Array]) -> Weights:
        if self.key is None:
            square = (self.heads, self.width, self.width)
            return {
                "score": matrix(next(draws), square, self.width**-0.5),
                "message": matrix(next(draws), square, self.skip * self.heads**-0.5),
            }
        inward = (self.heads, self.key, self.width)
        return {
            "query": matrix(next(draws), inward),
            "key": matrix(next(draws), inward),
            "value": matrix(next(draws), inward),
            "output": matrix(next(draws), (self.heads, self.width, self.key), self.skip * self.heads**-0.5),
        }


@dataclass(frozen=True)
class TransformerPolicy(BlocksPolicy):
    """A transformer with its weights."""

    model: Transformer

    def mix(
        self, block: Weights, x: Float[Array, "width column"], cases: int, silent: int
    ) -> Float[Array, "width read"]:
        attend = attention_along(self.interface.connectivity, silent)
        softmax = self.model.attention == "softmax"
        return reduce(jnp.add, (attend(head, x, cases, softmax) for head in self._heads(block)))

    def mix_on(
        self, block: Weights, layer: LayerMemory, x: Float[Array, "width case"], slot: Slot, active: Active
    ) -> tuple[Float[Array, "width case"], LayerMemory]:
        heads = self._heads(block)
        projected = project([part for head in heads for part in head[:3]], x)
        query, key, value = (jnp.stack(projected[which::3]) for which in range(3))
        layer = layer.write(key, value, slot, active)
        return sum(head.output @ read for head, read in zip(heads, layer.read(query), strict=True)), layer

    def empty_layer(self, cases: int) -> LayerMemory:
        memory = MEMORIES[self.model.attention]
        return memory.empty(self.model.heads, self.model.key or self.model.width, cases, self.interface.horizon)

    def trace(self, memory: Memory) -> Memory:
        return [layer.trace() for layer in memory]

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return [layer.branch(trace, slots, parents) for layer, trace in zip(memory, traces, strict=True)]

    def _heads(self, block: Weights) -> list[Head]:
        return [head._replace(output=self.written(head.output)) for head in self.model.heads_of(block)]


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
