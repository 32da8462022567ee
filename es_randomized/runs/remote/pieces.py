"""A file that only grows, kept as pieces, because object stores cannot append. A piece is named by the bytes it holds.

A new piece takes up those before it that are no longer than what is new, up to FULL bytes: however often a file is
saved, there are few pieces, and every byte is written only a few times. A piece is never overwritten, and those it took
up are deleted after it was written, so whatever is there holds the file.
"""

from collections.abc import Iterable
from typing import NamedTuple

FULL = 16 * 2**20


class Piece(NamedTuple):
    """Bytes start <= byte < end of a file."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """What its object is called."""
        return f"{self.start:015d}-{self.end:015d}"


def pieces_in(sizes: dict[str, int]) -> list[Piece]:
    """The pieces among objects of these names and sizes; one that is not whole does not count."""
    named = (name.split("-") for name in sizes)
    pieces = [Piece(*map(int, ends)) for ends in named if len(ends) == 2 and all(end.isdecimal() for end in ends)]
    return [piece for piece in pieces if sizes.get(piece.name) == piece.end - piece.start]


def chain(pieces: Iterable[Piece]) -> list[Piece]:
    """The fewest pieces that hold the file from its beginning on, as far as it is there without a gap."""
    pieces, found, end = list(pieces), [], 0
    while following := [piece for piece in pieces if piece.start <= end < piece.end]:
        found.append(max(following, key=lambda piece: piece.end))
        end = found[-1].end
    return found


def next_piece(held: list[Piece], size: int) -> Piece:
    """The piece to add to a chain when the file has grown to `size` bytes."""
    start = held[-1].end if held else 0
    for piece in reversed(held):
        if start - piece.start > size - start or size - piece.start > FULL:
            break
        start = piece.start
    return Piece(start, size)


def joined(held: list[Piece], contents: Iterable[bytes]) -> Iterable[bytes]:
    """What the pieces of a chain add to the file, one after the other."""
    position = 0
    for piece, content in zip(held, contents, strict=True):
        yield content[position - piece.start :]
        position = piece.end
