"""Threefry-2x32 with 20 rounds (Salmon et al. 2011), the counter-based generator behind `jax.random`, written out.

Written out it becomes one loop together with what is made of its bits. JAX's own primitive keeps its rounds rolled up on
CPUs, each a pass over memory: the same bits at a tenth of the speed (docs/kernels.md).
"""

import numpy as np
from jaxtyping import Array, UInt32

PARITY = np.uint32(0x1BD11BDA)
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
WORD = 32


def threefry(
    key: UInt32[Array, "2"], high: UInt32[Array, "*counters"], low: UInt32[Array, "*counters"]
) -> tuple[UInt32[Array, "*counters"], UInt32[Array, "*counters"]]:
    """Two random words for every counter, given by its high and its low word."""
    first, second = key
    keys = first, second, first ^ second ^ PARITY
    x, y = high + first, low + second
    for group in range(5):
        for distance in ROTATIONS[group % 2]:
            x = x + y
            y = _rotated(y, distance) ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def _rotated(x: UInt32[Array, "..."], distance: int) -> UInt32[Array, "..."]:
    return (x << np.uint32(distance)) | (x >> np.uint32(WORD - distance))
