"""Models whose blocks mix tokens by a recurrence: a memory of constant size that reads one token after the other."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized.connectivity import Causal, Ring, Single, Store
from es_randomized.errors import ConfigError
from es_randomized.models.blocks import Blocks, BlocksPolicy, draws_of, matrix
from es_randomized.models.layers.recurrence import Recurrence, State, along
from es_randomized.models.layers.traces import gone_back, kept
from es_randomized.models.units import Axes, Units
from es_randomized.policy import Active, Interface, Memory, Slot, Weights
from es_randomized.precision import Precision
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]


@settings
class Recurrent(Blocks):
    """What all of them have.

    Attributes:
        width: features of a token between blocks.
        blocks: how often recurrence and MLP alternate.
        hidden: features inside the MLP; null: blocks of the recurrence alone.
        activation: of the MLPs.
        norm: before every recurrence, every MLP and the read-out: layer, or none, where the sizes of what is added up over
            tokens tell something.
        stem: hidden features of an MLP before the first recurrence, so that a token's parts can mix before anything is
            remembered of it; null: none.
        precision: as of a transformer.
    """

    width: Size = 16
    blocks: Size = 2
    hidden: Size | None = 64
    activation: Literal["relu", "gelu"] = "relu"
    norm: Literal["layer", "none"] = "layer"
    stem: Size | None = None
    precision: Precision = "float32"

    @property
    @abstractmethod
    def recurrence(self) -> Recurrence:
        """How a block mixes tokens."""

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        """Fresh float32 weights: truncated normal with variance 1/fan-in, biases 0 and every matrix before a skip
        connection scaled by 1/(2 sqrt(layers)), where recurrence and MLP count as a layer each; vectors of the recurrence as
        it says."""
        shapes = self._mixing_shapes()
        sides = [interface.features, interface.outputs, self.hidden or 0, self.stem or 0]
        sides += [-(-math.prod(shape) // self.width) for shape in shapes.values()]
        count = 2 + self.blocks * (len(shapes) + 2 * bool(self.hidden)) + 2 * bool(self.stem)
        return self._fresh(draws_of(key, count, max(sides) * self.width), interface, self._mixing)

    def bytes_per_case(self, interface: Interface) -> int:
        activation = max(self.hidden or 0, self.width, 3 * self.recurrence.size)
        return 4 * max(interface.nodes * activation, self.memory(interface))

    def receptive_field(self, interface: Interface) -> int | None:
        return self.blocks if isinstance(interface.connectivity, Ring) else None

    def check(self, interface: Interface) -> None:
        name, connectivity = type(self).__name__, interface.connectivity
        if isinstance(connectivity, Ring) and self.recurrence.ordered:
            raise ConfigError(
                f"{name} reads tokens in an order, and on a cycle there is none; linear_attention, transformer and looped "
                "ones of these know cycles"
            )
        if not isinstance(connectivity, Ring | Causal | Single | Store):
            known = "Single, Causal and Store" if self.recurrence.ordered else "Single, Ring, Causal and Store"
            raise ConfigError(f"{name} does not know the connectivity {type(connectivity).__name__}; it can do {known}")

    def token_axes(self) -> Axes:
        inward = {name: (1,) for name in self.recurrence.matrices(self.width) if name not in self.recurrence.inner}
        return {**inward, "output": (0,)}

    def mixing_units(self, interface: Interface) -> list[Units]:
        return self.recurrence.interchangeable(self.width)

    def applied(self, weights: Weights, interface: Interface) -> "RecurrentPolicy":
        return RecurrentPolicy(self, weights, interface)

    def _mixing_shapes(self) -> dict[str, tuple[int, ...]]:
        recurrence = self.recurrence
        return {**recurrence.matrices(self.width), "output": (self.width, recurrence.size)}

    def _mixing(self, draws: Iterator[Array]) -> Weights:
        shapes = self._mixing_shapes()
        scales = {name: self.skip if name == "output" else 1.0 for name in shapes}
        made = {name: matrix(next(draws), shape, scales[name]) for name, shape in shapes.items()}
        return made | dict(self.recurrence.vectors())


@dataclass(frozen=True)
class RecurrentPolicy(BlocksPolicy):
    """A recurrent model with its weights."""

    model: Recurrent

    def mix(
        self, block: Weights, x: Float[Array, "width column"], cases: int, silent: int
    ) -> Float[Array, "width read"]:
        recurrence, connectivity = self.model.recurrence, self.interface.connectivity
        given = recurrence.given(block, x)
        if isinstance(connectivity, Ring):
            y = recurrence.around(block, given, cases)
        else:
            stored = connectivity.stored if isinstance(connectivity, Store) else x.shape[1] // cases
            y = along(recurrence, block, given, cases, stored, silent)
        return self.written(block["output"]) @ y

    def mix_on(
        self, block: Weights, layer: State, x: Float[Array, "width case"], slot: Slot, active: Active
    ) -> tuple[Float[Array, "width case"], State]:
        recurrence = self.model.recurrence
        given = recurrence.given(block, x)
        y, after = recurrence.step(block, layer, given)
        added = self.written(block["output"]) @ recurrence.finished(block, y, given)
        return added, _kept(after, layer, active)

    def empty_layer(self, cases: int) -> State:
        return self.model.recurrence.empty(cases)

    def trace(self, memory: Memory) -> Memory:
        return jax.tree.map(kept, memory)

    def branch(
        self, memory: Memory, traces: Memory, slots: Int[Array, " child"], parents: Int[Array, " child"]
    ) -> Memory:
        return jax.tree.map(lambda state, rows: gone_back(rows, slots, parents, state.shape[:-1]), memory, traces)


def _kept(after: State, before: State, active: Active) -> State:
    """The state after a token, of the cases that take part; the others' as it was."""
    if active is True:
        return after
    present = jnp.asarray(active)
    return jax.tree.map(lambda new, old: jnp.where(jnp.broadcast_to(present, new.shape), new, old), after, before)
