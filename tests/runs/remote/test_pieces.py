"""A growing file in pieces: whatever of them survived a crash, they hold the file up to some moment."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_randomized.runs.remote import pieces
from es_randomized.runs.remote.pieces import Piece, chain, joined, next_piece, pieces_in

CONTENT = random.Random(0).randbytes(5000)


def read(store: dict[str, bytes]) -> bytes:
    """The file, as somebody else finds it."""
    held = chain(pieces_in({name: len(data) for name, data in store.items()}))
    return b"".join(joined(held, [store[piece.name] for piece in held]))


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_it_is_whole_whatever_was_not_deleted_yet(growth: list[int], chance: random.Random) -> None:
    store: dict[str, bytes] = {}
    size = 0
    for more in growth:
        size += more
        known = pieces_in({name: len(data) for name, data in store.items()})
        new = next_piece(chain(known), size)
        store[new.name] = CONTENT[new.start : new.end]
        assert read(store) == CONTENT[:size]
        for old in set(known) - set(chain([*known, new])):
            if chance.random() < 0.7:  # or a crash came first
                del store[old.name]
            assert read(store) == CONTENT[:size]


def test_there_are_few_and_each_byte_is_written_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FULL", 2**14)
    held: list[Piece] = []
    written = 0
    for size in range(100, 200_001, 100):
        new = next_piece(held, size)
        written += new.end - new.start
        held = chain([*held, new])
    assert len(held) <= 200_000 / 2**13 + 10
    assert written <= 200_000 * (1 + 7.4)  # pieces double until full: log2(16384 / 100) times


def test_what_is_not_a_whole_piece_is_left_out() -> None:
    whole = {Piece(0, 10).name: 10, Piece(10, 20).name: 10}
    assert chain(pieces_in(whole)) == [(0, 10), (10, 20)]
    assert chain(pieces_in(whole | {Piece(10, 20).name: 7, "notes.txt": 3, "a-b": 2})) == [(0, 10)]
    assert chain(pieces_in({Piece(10, 20).name: 10})) == []
