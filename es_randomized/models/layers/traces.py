"""What a memory was after every token, for whoever goes back to it: kept as rows, so that no machine pads it.

A state ends in the axis `case`, of which a hunt's first episode has few: TPUs pad them to 128. Kept as `[case, entry]`, all
entries of a state share the long axis, and going back reads whole rows.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Int, Num


def kept(state: Num[Array, "*axes case"]) -> Num[Array, "case entry"]:
    """A state as a row for every case."""
    return jnp.moveaxis(state.reshape(-1, state.shape[-1]), -1, 0)


def gone_back(
    rows: Num[Array, "slot case entry"],
    slots: Int[Array, " child"],
    parents: Int[Array, " child"],
    axes: tuple[int, ...],
) -> Num[Array, "*axes child"]:
    """The state that every child's parent had after `slots` tokens.

    Args:
        rows: `kept` after every token.
        slots: at least 1.
        axes: of a state, but for `case`.
    """
    assert math.prod(axes) == rows.shape[-1]
    return jnp.moveaxis(rows[slots - 1, parents], 0, -1).reshape(*axes, len(slots))
