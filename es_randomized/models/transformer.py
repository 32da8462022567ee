"""The pre-LN transformer of arXiv:2408.10818, as a pure function of a pytree of weights.

E += Attention(norm(E)); E += down(act(up(norm(E)))). Layer norms have no parameters of their own: a gain would fold into
the next matrix, and evolution strategies pay for every extra dimension.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from pydantic import Field

from es_randomized.models.attention import PATTERNS, contract
from es_randomized.policy import Interface, Policy, Weights
from es_randomized.settings import settings

Size = Annotated[int, Field(ge=1)]

EPSILON = 1e-6


@settings
class Transformer:
    """Transformer sizes.

    Attributes:
        width: features of a token between blocks.
        blocks: how often attention and MLP alternate: the radius of what a node can know.
        heads: attention heads.
        key: features of queries, keys and values per head.
        hidden: features inside the MLP.
        activation: of the MLP; relu is 1.4 times as fast as gelu on CPUs.
    """

    width: Size = 16
    blocks: Size = 2
    heads: Size = 1
    key: Size = 16
    hidden: Size = 64
    activation: Literal["relu", "gelu"] = "relu"

    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        """Fresh float32 weights: truncated normal with variance 1/fan-in, biases 0 and every matrix before a skip
        connection scaled by 1/(2 sqrt(layers)), where attention and MLP count as a layer each."""
        keys = iter(jax.random.split(key, 2 + 6 * self.blocks))
        skip = 0.5 / (2 * self.blocks) ** 0.5
        embed = _matrix(next(keys), self.width, interface.features)
        blocks = [self._block(keys, skip) for _ in range(self.blocks)]
        readout = _matrix(next(keys), interface.outputs, self.width)
        return {"embed": embed, "blocks": blocks, "readout": readout, "readout_bias": jnp.zeros(interface.outputs)}

    def flops(self, interface: Interface) -> int:
        """Floating-point operations of the matrix products for one token (a multiply and an add count two)."""
        block = 2 * self.heads * self.width**2 + 2 * self.width * self.hidden
        return 2 * (self.width * (interface.features + interface.outputs) + self.blocks * block)

    def _block(self, keys: Any, skip: float) -> Weights:
        inner = self.heads * self.key
        return {
            "query": _matrix(next(keys), inner, self.width),
            "key": _matrix(next(keys), inner, self.width),
            "value": _matrix(next(keys), inner, self.width),
            "output": _matrix(next(keys), self.width, inner, skip),
            "up": _matrix(next(keys), self.hidden, self.width),
            "up_bias": jnp.zeros(self.hidden),
            "down": _matrix(next(keys), self.width, self.hidden, skip),
            "down_bias": jnp.zeros(self.width),
        }

    def policy(self, weights: Weights, interface: Interface) -> Policy:
        """The policy that applies these weights to tokens `[feature, node, case]`."""
        attend = PATTERNS[interface.pattern]
        activate: Callable[[Array], Array] = getattr(jax.nn, self.activation)

        def apply(tokens: Float[Array, "feature node case"]) -> Float[Array, "output node case"]:
            x = contract(weights["embed"], tokens)
            for block in weights["blocks"]:
                x = x + attend(block, _norm(x), self.heads)
                hidden = activate(contract(block["up"], _norm(x)) + _column(block["up_bias"]))
                x = x + contract(block["down"], hidden) + _column(block["down_bias"])
            return contract(weights["readout"], _norm(x)) + _column(weights["readout_bias"])

        return apply


def _matrix(key: Key[Array, ""], rows: int, columns: int, scale: float = 1.0) -> Float[Array, "{rows} {columns}"]:
    spread = scale / (columns**0.5 * 0.87962566)  # the standard deviation of a normal truncated at 2
    return spread * jax.random.truncated_normal(key, -2.0, 2.0, (rows, columns))


def _norm(x: Float[Array, "width node case"]) -> Float[Array, "width node case"]:
    centred = x - jnp.mean(x, axis=0, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred * centred, axis=0, keepdims=True) + EPSILON)


def _column(bias: Float[Array, " out"]) -> Float[Array, "out 1 1"]:
    return bias[:, None, None]
