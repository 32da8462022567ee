"""Snapshots come back bit for bit, newest first, and damaged ones are passed over."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_randomized.runs.snapshots import newest_snapshot, save_snapshot


def state(value: float) -> dict[str, Any]:
    return {"mean": np.full(4, value, np.float32), "inner": (np.uint32(7), np.array([True, False]))}


def test_round_trip_of_the_newest(tmp_path: Path) -> None:
    for generation in (3, 9):
        save_snapshot(tmp_path, generation, state(generation))
    found = newest_snapshot(tmp_path, lambda _: state(0), until=100)
    assert found is not None
    assert found[0] == 9
    np.testing.assert_array_equal(found[1]["mean"], state(9)["mean"])
    assert found[1]["inner"][0] == 7
    assert found[1]["inner"][1].dtype == bool


def test_only_two_are_kept(tmp_path: Path) -> None:
    for generation in range(5):
        save_snapshot(tmp_path, generation, state(generation))
    assert [path.stem for path in sorted(tmp_path.iterdir())] == ["00000003", "00000004"]


def test_a_snapshot_ahead_of_the_journal_is_passed_over(tmp_path: Path) -> None:
    for generation in (3, 9):
        save_snapshot(tmp_path, generation, state(generation))
    found = newest_snapshot(tmp_path, lambda _: state(0), until=8)
    assert found is not None
    assert found[0] == 3


def test_a_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    for generation in (3, 9):
        save_snapshot(tmp_path, generation, state(generation))
    newest = tmp_path / "00000009.safetensors"
    newest.write_bytes(newest.read_bytes()[:20])
    found = newest_snapshot(tmp_path, lambda _: state(0), until=100)
    assert found is not None
    assert found[0] == 3


def test_a_snapshot_of_another_structure_is_passed_over(tmp_path: Path) -> None:
    save_snapshot(tmp_path, 3, {"mean": np.zeros(5, np.float32)})
    assert newest_snapshot(tmp_path, lambda _: {"mean": np.zeros(4, np.float32)}, until=100) is None
    assert newest_snapshot(tmp_path, lambda _: {"centre": np.zeros(5, np.float32)}, until=100) is None


def test_every_flipped_bit_gives_the_state_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("es_randomized"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("es_randomized.runs.snapshots"), "disabled", True)
    save_snapshot(tmp_path, 3, state(3), "abc")
    path, expected = tmp_path / "00000003.safetensors", state(3)
    whole = path.read_bytes()
    found = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << position % 8)]) + whole[position + 1 :])
        if kept := newest_snapshot(tmp_path, lambda _: state(0), until=100, experiments=["abc"]):
            np.testing.assert_array_equal(kept[1]["mean"], expected["mean"])
            np.testing.assert_array_equal(kept[1]["inner"][1], expected["inner"][1])
            assert kept[1]["inner"][0] == 7
            found += 1
    assert found < len(whole) / 4  # only where names of what is checked are hit
