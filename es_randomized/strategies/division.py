"""How the noise [row, param] of an update is divided into parts: blocks of rows by blocks of columns, fixed by the experiment.

Sums over different rows are added afterwards, which rounds, so a division is never derived from the number of workers.
"""

from typing import NamedTuple

PARTS = 16  # blocks of columns: enough to share among workers; few enough that messages cost nothing
ALIGN = 32
NARROWEST, WIDEST = 2**11, 2**16  # columns of a part: a row of fewer costs as much, a row of more leaves the cache

# With the narrowest columns that is 8.4 M entries, 0.08 s of a core at 1e8 a second: long beside the millisecond a call costs
# the coordinator, and an update that takes no longer is not worth more workers. 4 bytes come back for 41 µs of computing,
# whatever the width: a network of 10 Gbit/s carries what 10,000 workers bring.
TALLEST = 2**12  # rows of a part
# More parts would cost the coordinator more than half a second for their calls. What comes back, MOST * WIDEST entries of each
# sum or a row of each if that is more, does not grow with rows * columns.
MOST = 2**9  # parts, where rows are divided


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
    """The parts of an update by so many rows of noise.

    Args:
        whole_rows: columns are not divided.
    """
    share, all_of_them = (-(-columns // (parts * ALIGN)) * ALIGN for parts in (PARTS, 1))
    width = columns if whole_rows else min(WIDEST, max(NARROWEST, share), all_of_them)
    across = -(-columns // width)
    down = blocks_of_rows(rows, columns, across)
    return Division(down, across, -(-rows // down), width)


def blocks_of_rows(rows: int, columns: int, across: int) -> int:
    """As many as keep parts from being taller than `TALLEST`, and no more than `MOST` parts allow."""
    most = MOST // max(across, -(-columns // WIDEST))
    return max(1, min(most, -(-rows // TALLEST)))
