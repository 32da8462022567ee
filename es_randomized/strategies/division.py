"""How an update is divided into parts: each reads a block of rows and columns of the noise [row, param].

The experiment alone decides. The sums of different blocks of rows are added afterwards, and that rounds: if the number of workers
decided, results would depend on it.
"""

from typing import NamedTuple

PARTS = 16  # blocks of columns: enough to share among workers; few enough that messages cost nothing
ALIGN = 32
NARROWEST, WIDEST = 2**11, 2**16  # columns of a part: a row of fewer costs as much, a row of more leaves the cache

# Rows of a part. A part of the narrowest columns then has 8.4 M entries: 0.08 s of a core at 1e8 entries a second, long beside
# the millisecond that a call costs the coordinator. A part brings back 4 bytes for 41 µs of computing, whatever its width, so a
# network of 10 Gbit/s serves 10,000 workers.
TALLEST = 2**12
# Parts, where rows are divided. The calls of more would cost the coordinator over half a second. It also bounds what comes back:
# MOST * WIDEST entries of each sum, or one row of each if that is more, however large the population.
MOST = 2**9


class Division(NamedTuple):
    """Parts of one size, numbered block of rows by block of rows; the last ones may reach past the end.

    Attributes:
        down: blocks of rows.
        across: blocks of columns.
        height: rows of a part.
        width: columns of a part.
    """

    down: int
    across: int
    height: int
    width: int


def divided(rows: int, columns: int, whole_rows: bool = False) -> Division:
    """The parts of an update that reads this many rows and columns of noise.

    Args:
        whole_rows: columns are not divided.
    """
    share, whole = (-(-columns // (parts * ALIGN)) * ALIGN for parts in (PARTS, 1))
    width = columns if whole_rows else min(WIDEST, max(NARROWEST, share), whole)
    across = -(-columns // width)
    down = blocks_of_rows(rows, columns, across)
    return Division(down, across, -(-rows // down), width)


def blocks_of_rows(rows: int, columns: int, across: int) -> int:
    """Into how many blocks rows are divided: so that none is taller than `TALLEST`, unless that makes more than `MOST` parts."""
    most = MOST // max(across, -(-columns // WIDEST))
    return max(1, min(most, -(-rows // TALLEST)))
