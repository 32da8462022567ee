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
from es_randomized.models.layers.attention import Head, around, causal, project, ring, store
from es_randomized.models.layers.memory import MEMORIES, LayerMemory, WindowMemory
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
        window: how far attention reaches. null: to both neighbours on a cycle, to everything before a token in an order. A
            number: on a cycle to the node itself and to all that are so many steps away, with a learned number per distance
            added to scores (Ying et al. 2021, arXiv:2106.05234); in an order, with softmax, to a token itself and so many
            before it. all: on a cycle, all nodes.
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
    window: Size | Literal["all"] | None = None
    precision: Precision = "float32"

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        """Fresh float32 weights: truncated normal with variance 1/fan-in, biases 0 and every matrix before a skip
        connection scaled by 1/(2 sqrt(layers)), where attention and MLP count as a layer each."""
        inner = self.width if self.key is None else self.key
        rows = max(interface.features, interface.outputs, self.hidden or 0, self.stem or 0, self.heads * inner)
        draws = draws_of(key, 2 + 6 * self.blocks + 2 * bool(self.stem), rows * self.width)
        return self._fresh(draws, interface, lambda draws: self._attention(draws) | self._distances(interface))

    def bytes_per_case(self, interface: Interface) -> int:
        """Of the widest activation alone: counting the memory too would change tiles, and with them the last bits of runs."""
        return 4 * interface.nodes * max(self.hidden or 0, self.width)

    def receptive_field(self, interface: Interface) -> int | None:
        if not isinstance(interface.connectivity, Ring) or self.window == "all":
            return None
        return self.blocks * (self.window or 1)

    def check(self, interface: Interface) -> None:
        self.attention_along(interface.connectivity, silent=0)
        if self.window is None or self.window == "all":
            return
        if not isinstance(interface.connectivity, Ring):
            if self.attention == "linear":
                raise ConfigError(
                    "model.window: linear attention keeps no tokens that it could forget one by one; use attention: softmax, or "
                    "kind: gated_linear, whose memory fades"
                )
        elif 2 * self.window + 1 > interface.nodes:
            raise ConfigError(
                f"model.window is {self.window}, which goes more than once around a cycle of {interface.nodes} nodes; use all"
            )

    def reach(self, interface: Interface) -> int | None:
        """How many steps away on a cycle a node sees others; None where it sees its two neighbours alone."""
        if self.window is None or not isinstance(interface.connectivity, Ring):
            return None
        return interface.nodes // 2 if self.window == "all" else self.window

    @property
    def tokens_before(self) -> int | None:
        """How many tokens before itself a token sees in an order; None: all."""
        return None if self.window == "all" else self.window

    def applied(self, weights: Weights, interface: Interface) -> "TransformerPolicy":
        return TransformerPolicy(self, weights, interface)

    def token_axes(self) -> Axes:
        if self.key is None:
            return {"score": (1, 2), "message": (1, 2)}
        return {"query": (2,), "key": (2,), "value": (2,), "output": (1,)}

    def mixing_units(self, interface: Interface) -> list[Units]:
        leaves = [*self.token_axes(), *self._distances(interface)]
        return [Units("heads", self.heads, inside((), dict.fromkeys(leaves, (0,))))]

    def heads_of(self, block: Weights) -> list[Head]:
        """The matrices of every head of a block."""
        if self.key is None:
            return [Head(s, None, None, m) for s, m in zip(block["score"], block["message"], strict=True)]
        query = block["query"] * self.key**-0.5
        return [Head(*parts) for parts in zip(query, block["key"], block["value"], block["output"], strict=True)]

    def attention_along(self, connectivity: Connectivity, silent: int) -> Callable[..., Array]:
        """What one head adds to normalised tokens [width, column], given how many cases there are and whether it has a softmax.

        Args:
            silent: leading nodes whose result nobody reads, 0 or all that the connectivity names.

        Raises:
            ConfigError: no attention is known for this connectivity.
        """
        match connectivity:
            case Ring():
                return ring if self.window is None else around
            case Causal() | Single():
                return partial(causal, window=self.tokens_before)
            case Store(stored):
                return partial(store, stored=stored, silent=silent, window=self.tokens_before)
        name = type(connectivity).__name__
        raise ConfigError(
            f"a transformer does not know the connectivity {name}; it can do Single, Ring, Causal and Store"
        )

    def _distances(self, interface: Interface) -> Weights:
        """A number for every head and distance, where attention on a cycle reaches beyond neighbours."""
        reach = self.reach(interface)
        return {} if reach is None else {"distance": jnp.zeros(self.heads * (reach + 1))}

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
        attend = self.model.attention_along(self.interface.connectivity, silent)
        softmax, heads = self.model.attention == "softmax", self._heads(block)
        if "distance" not in block:
            return reduce(jnp.add, (attend(head, x, cases, softmax) for head in heads))
        biases = block["distance"].reshape(len(heads), -1)
        return reduce(
            jnp.add, (attend(head, x, cases, softmax, bias) for head, bias in zip(heads, biases, strict=True))
        )

    def mix_on(
        self, block: Weights, layer: LayerMemory, x: Float[Array, "width case"], slot: Slot, active: Active
    ) -> tuple[Float[Array, "width case"], LayerMemory]:
        heads = self._heads(block)
        projected = project([part for head in heads for part in head[:3]], x)
        query, key, value = (jnp.stack(projected[which::3]) for which in range(3))
        layer = layer.write(key, value, slot, active)
        return sum(head.output @ read for head, read in zip(heads, layer.read(query), strict=True)), layer

    def empty_layer(self, cases: int) -> LayerMemory:
        sizes = self.model.heads, self.model.key or self.model.width, cases
        horizon, window = self.interface.horizon, self.model.tokens_before
        if window is not None:
            return WindowMemory.empty(*sizes, min(window + 1, horizon))
        return MEMORIES[self.model.attention].empty(*sizes, horizon)

    def trace(self, memory: Memory) -> Memory:
        return [layer.trace() for layer in memory]

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return [layer.branch(trace, slots, parents) for layer, trace in zip(memory, traces, strict=True)]

    def _heads(self, block: Weights) -> list[Head]:
        return [head._replace(output=self.written(head.output)) for head in self.model.heads_of(block)]
