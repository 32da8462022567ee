"""Keys are addresses, not streams: the only module that makes random keys.

A key is found from where it is used, seed -> purpose -> generation -> index, and never from what was drawn before it.
So any worker can make the key of any generation, and a resumed run draws what the uninterrupted one would have drawn.
"""

from enum import IntEnum

import jax
import numpy as np
from jaxtyping import Array, Integer, Key

AddressPart = int | np.integer | Integer[Array, ""]


class Purpose(IntEnum):
    """What a key is for. Numbers are part of every saved run: add new ones, never renumber."""

    INIT = 0
    NOISE = 1
    UPDATE = 2
    INSTANCES = 3
    SEEDS = 4
    EVALUATION_INSTANCES = 5
    EVALUATION_SEEDS = 6
    CHECK_INSTANCES = 7
    CHECK_SEEDS = 8
    ACTIONS = 9
    EVALUATION_NOISE = 10
    NOISE_TABLE = 11
    SPECIALISTS = 12
    THINNING = 13
    POOL = 14
    POOL_SEEDS = 15


def address(seed: AddressPart, purpose: Purpose, generation: AddressPart = 0, index: AddressPart = 0) -> Key[Array, ""]:
    """The key of one place in a run.

    Args:
        seed: the experiment's seed, 0 <= seed < 2**32; may be traced as uint32, so that one program serves every seed.
        purpose: what is drawn there; training and evaluation never share one.
        generation: 0, 1, ...; may be traced, so that one compiled program serves every generation.
        index: which of several draws of the same purpose in that generation.
    """
    key = jax.random.key(seed, impl="threefry2x32")
    return inside(key, int(purpose), generation, index)


def inside(key: Key[Array, ""], *places: AddressPart) -> Key[Array, ""]:
    """The key of a place inside the one that `key` belongs to: a step of a rollout, or a block of cases."""
    for place in places:
        key = jax.random.fold_in(key, place)
    return key
