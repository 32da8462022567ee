"""The plan: how a generation is cut into chunks, decided once, from the compiled program's own memory analysis.

A chunk is a fixed-size set of members evaluated by one compiled program: the unit of work. Its size is part of the
resolved experiment and never follows from the number of workers, so that results do not either.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from es_randomized.compilation import HERE, Compiler, Platform
from es_randomized.errors import MemoryBudgetError

CHUNKS_PER_GENERATION = 16  # at least, where the population allows it, to keep a few workers evenly loaded
CHUNKS_OF_SMALL_GENERATION = 4  # where sixteenths take less time than their messages
SMALL_CHUNK_FLOPS = 2.5e8  # some 12 ms on a core; a message takes 1 to 2 ms of cores that compute meanwhile
CHUNK_FLOPS = 1e9  # some 50 ms on a core: enough for messages to cost nothing; smaller chunks feed more workers
ACCELERATOR_CHUNK_FLOPS = 1e12
CPU_TILE_BYTES = 200 * 1024  # the widest activation of a tile: a tenth of a core's L2, since several live at once

MIB = 2**20


def default_tile(cases: int, bytes_per_case: int, platform: Platform) -> int:
    """The largest divisor of `cases` whose widest activation stays in cache; all cases on an accelerator."""
    if platform != "cpu":
        return cases
    limit = max(1, CPU_TILE_BYTES // bytes_per_case)
    return max(size for size in range(1, cases + 1) if cases % size == 0 and size <= limit)


def smaller_tile(cases: int, tile: int) -> int:
    """The largest divisor of `cases` that is at most half of `tile`, which is above 1."""
    return max(size for size in range(1, tile // 2 + 1) if cases % size == 0)


def default_rows(rows: int, flops_per_row: float, platform: Platform) -> int:
    """Rows of noise per chunk before memory is looked at: few enough for many workers, enough to be worth a message."""
    worth = math.ceil((CHUNK_FLOPS if platform == "cpu" else ACCELERATOR_CHUNK_FLOPS) / max(1.0, flops_per_row))
    count = CHUNKS_PER_GENERATION
    while platform == "cpu" and count > CHUNKS_OF_SMALL_GENERATION and rows * flops_per_row < count * SMALL_CHUNK_FLOPS:
        count //= 2
    return min(worth, -(-rows // count))


def rows_that_fit(bytes_of: Callable[[int], int], start: int, memory_mib: int) -> int:
    """The largest of start, start/2, ... rows whose program stays within the budget.

    Args:
        bytes_of: memory of the chunk program for so many rows: arguments, temporaries and results together.
        start: rows to begin with.

    Raises:
        MemoryBudgetError: not even one row fits; the message says what it would take.
    """
    size = start
    while True:
        needed = bytes_of(size)
        if needed <= memory_mib * MIB:
            return size
        if size == 1:
            raise MemoryBudgetError(
                f"the smallest chunk needs {needed / MIB:.1f} MiB, but plan.memory_mib is {memory_mib}; "
                f"raise it to {-(-needed // MIB)} or make the population, the model or plan.tile smaller"
            )
        size = -(-size // 2)


def program_bytes(program: Any, proposal: Any, rows: int, inputs: Any, compiler: Compiler = HERE) -> int:
    """Bytes of arguments, temporaries and results of the chunk program for so many rows."""
    return compiler.memory_bytes(program, proposal, jax.ShapeDtypeStruct((rows,), np.int32), inputs)


def chunks(rows: int, size: int) -> list[np.ndarray]:
    """Rows of noise of every chunk, in order. The last one is filled up with its last row to keep one shape."""
    starts = range(0, rows, size)
    return [np.minimum(np.arange(start, start + size, dtype=np.int32), rows - 1) for start in starts]
