"""Recurrences of units that know only themselves, h ← a h + what comes in: everything between units happens in gates.

Sources: Zucchet et al. 2023 (arXiv:2309.01775), whose linear units between two gates can be linear attention; De et al. 2024
(arXiv:2402.19427), whose RG-LRU lets every token decide how much is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized.models.layers.recurrence import Recurrence
from es_randomized.models.units import Units, inside
from es_randomized.perturbed import products_of
from es_randomized.policy import Weights

SHARPNESS = 8.0  # c of RG-LRU: a = exp(-c r softplus(Λ))


@dataclass(frozen=True)
class GatedUnits(Recurrence):
    """h ← λ h + (W x) (W' x + b) and y = (U h) (U' h), entry by entry; λ = σ(ν), learned.

    Attributes:
        units: entries of h.
        gates: entries of y.
    """

    units: int
    gates: int

    @property
    def size(self) -> int:
        return self.gates

    def matrices(self, width: int) -> Mapping[str, tuple[int, ...]]:
        inward, outward = (self.units, width), (self.gates, self.units)
        return {"enter": inward, "enter_gate": inward, "leave": outward, "leave_gate": outward}

    def vectors(self) -> Mapping[str, Float[Array, " entry"]]:
        """Input gates start open; what is kept is from 0.5 to 0.999, evenly in logarithms of what is not."""
        lost = jnp.geomspace(0.5, 0.001, self.units)
        return {"enter_bias": jnp.ones(self.units), "keep": jnp.log1p(-lost) - jnp.log(lost)}

    @property
    def inner(self) -> frozenset[str]:
        return frozenset({"leave", "leave_gate"})

    def interchangeable(self, width: int) -> list[Units]:
        units = dict.fromkeys(("enter", "enter_gate", "enter_bias", "keep"), (0,))
        units |= {"leave": (1,), "leave_gate": (1,)}
        gates = {"leave": (0,), "leave_gate": (0,), "output": (1,)}
        return [Units("units", self.units, inside((), units)), Units("gates", self.gates, inside((), gates))]

    def empty(self, cases: int) -> Float[Array, "unit case"]:
        return jnp.zeros((self.units, cases))

    def given(self, weights: Weights, x: Float[Array, "width column"]) -> Float[Array, "unit column"]:
        value, gate = products_of([weights["enter"], weights["enter_gate"]], x)
        return value * (gate + weights["enter_bias"][:, None])

    def step(
        self, weights: Weights, state: Float[Array, "unit *state"], given: Float[Array, "unit *tokens"]
    ) -> tuple[Float[Array, "unit *tokens"], Float[Array, "unit *tokens"]]:
        after = jax.nn.sigmoid(weights["keep"]).reshape(-1, *[1] * (state.ndim - 1)) * state + given
        return after, after

    def finished(
        self, weights: Weights, y: Float[Array, "unit column"], given: Float[Array, "unit column"]
    ) -> Float[Array, "gate column"]:
        value, gate = products_of([weights["leave"], weights["leave_gate"]], y)
        return value * gate


class UnitsToken(NamedTuple):
    """What a token gives to RG-LRU.

    Attributes:
        kept: a.
        entering: √(1 − a²) i u.
        gate: what comes out is multiplied by.
    """

    kept: Float[Array, "unit *tokens"]
    entering: Float[Array, "unit *tokens"]
    gate: Float[Array, "unit *tokens"]


@dataclass(frozen=True)
class RealGatedUnits(Recurrence):
    """RG-LRU: h ← a h + √(1 − a²) i u, where a = exp(−8 r softplus(Λ)), r = σ(W_r x + b_r), i = σ(W_i x + b_i), u = W_u x.

    What comes out is h times gelu(W_g x), as in the blocks of that paper, whose convolution is left out. |a| < 1 and what
    comes in is scaled by it, so h stays as large as what came in.

    Attributes:
        units: entries of h.
    """

    units: int

    @property
    def size(self) -> int:
        return self.units

    def matrices(self, width: int) -> Mapping[str, tuple[int, ...]]:
        return dict.fromkeys(("enter", "enter_gate", "keep_gate", "leave_gate"), (self.units, width))

    def vectors(self) -> Mapping[str, Float[Array, " entry"]]:
        """a is from 0.9 to 0.999 where r = 1, evenly in logarithms of what is lost."""
        kept = -jnp.log1p(-jnp.geomspace(0.1, 0.001, self.units)) / SHARPNESS
        zeros = jnp.zeros(self.units)
        return {"enter_bias": zeros, "keep_bias": zeros, "keep": jnp.log(jnp.expm1(kept))}

    def interchangeable(self, width: int) -> list[Units]:
        axes = dict.fromkeys([*self.matrices(width), *self.vectors()], (0,)) | {"output": (1,)}
        return [Units("units", self.units, inside((), axes))]

    def empty(self, cases: int) -> Float[Array, "unit case"]:
        return jnp.zeros((self.units, cases))

    def given(self, weights: Weights, x: Float[Array, "width column"]) -> UnitsToken:
        names = ("enter", "enter_gate", "keep_gate", "leave_gate")
        value, entering, keeping, gate = products_of([weights[name] for name in names], x)
        rate = jax.nn.sigmoid(keeping + weights["keep_bias"][:, None])
        log_kept = -SHARPNESS * rate * jax.nn.softplus(weights["keep"])[:, None]
        scale = jnp.sqrt(-jnp.expm1(2 * log_kept))
        entering = scale * jax.nn.sigmoid(entering + weights["enter_bias"][:, None]) * value
        return UnitsToken(jnp.exp(log_kept), entering, jax.nn.gelu(gate))

    def step(
        self, weights: Weights, state: Float[Array, "unit *state"], given: UnitsToken
    ) -> tuple[Float[Array, "unit *tokens"], Float[Array, "unit *tokens"]]:
        after = given.kept * state + given.entering
        return after, after

    def finished(
        self, weights: Weights, y: Float[Array, "unit column"], given: UnitsToken
    ) -> Float[Array, "unit column"]:
        return y * given.gate
