"""Metrics are readable at any time and complete after a crash."""

import os
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from es_randomized.drivers.ledger import Cost
from es_randomized.runs.metrics import Metrics, read_metrics, summary
from es_randomized.runs.storage import remove_leftovers, write_atomically

COST = Cost(rollouts=8, tokens=40, flops=10**18)
LOSSES = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32)


def opened(folder: Path, known: int, devices: int = 2) -> Metrics:
    return Metrics(folder, list(LOSSES[:known]), COST.times, devices)


def test_readable_while_the_run_goes_on_with_any_parquet_reader(tmp_path: Path) -> None:
    metrics = opened(tmp_path, 0)
    for generation in range(4):
        metrics.add(generation, LOSSES[generation], float(generation), {})
        if generation in (1, 2):
            metrics.flush()
    assert pq.read_table(tmp_path)["generation"].to_pylist() == [0, 1, 2]
    np.testing.assert_allclose(read_metrics(tmp_path)["loss_mean"], LOSSES[:3].mean(axis=1), rtol=1e-6)


def test_rows_lost_in_a_crash_are_filled_in_from_the_journal(tmp_path: Path) -> None:
    metrics = opened(tmp_path, 0)
    for generation in range(3):
        metrics.add(generation, LOSSES[generation], 10.0 + generation, {"held_out_average": 0.5})
    metrics.flush()
    metrics.add(3, LOSSES[3], 13.0, {})  # never flushed: the crash
    resumed = opened(tmp_path, 5)
    assert (resumed.seconds, resumed.device_seconds) == (12.0, 24.0)
    table = read_metrics(tmp_path)
    assert table["generation"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["held_out_average"].to_pylist() == [0.5, 0.5, 0.5, None, None]
    np.testing.assert_allclose(table["loss_best"], LOSSES[:5].min(axis=1), rtol=1e-6)


def test_the_ledger_adds_up_over_crashes_and_changes_of_machine(tmp_path: Path) -> None:
    opened(tmp_path, 0, devices=2).add(0, LOSSES[0], 10.0, {})  # lost
    resumed = opened(tmp_path, 1, devices=2)
    resumed.add(1, LOSSES[1], 3.0, {})
    resumed.flush()
    last = opened(tmp_path, 2, devices=4).add(2, LOSSES[2], 5.0, {})
    assert (last["seconds"], last["device_seconds"]) == (8.0, 3.0 * 2 + 5.0 * 4)
    assert (last["rollouts"], last["tokens"], last["flops"]) == (24, 120, 3e18)
    assert read_metrics(tmp_path)["rollouts"].to_pylist() == [8, 16]
    assert opened(tmp_path, 2).add(20, LOSSES[2], 1.0, {})["flops"] == 2.1e19


def test_rows_past_the_journal_are_dropped(tmp_path: Path) -> None:
    metrics = opened(tmp_path, 0)
    for generation in range(5):
        metrics.add(generation, LOSSES[generation], 1.0, {})
        metrics.flush()
    opened(tmp_path, 2)
    assert read_metrics(tmp_path)["generation"].to_pylist() == [0, 1]


def test_non_finite_losses_are_counted_and_left_out_of_the_summary() -> None:
    row = summary(np.array([1, np.nan, 3, np.inf], np.float32))
    assert (row["non_finite"], row["loss_mean"], row["loss_best"]) == (2, 2.0, 1.0)


def three_parts(folder: Path) -> list[Path]:
    metrics = opened(folder, 0)
    for generation in range(3):
        metrics.add(generation, LOSSES[generation], 10.0 + generation, {})
        metrics.flush()
    return sorted(folder.iterdir())


def test_a_reader_never_sees_the_table_shrink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, seen = three_parts(tmp_path), []

    def looking(function):
        def called(*arguments, **options):
            function(*arguments, **options)
            seen.append(read_metrics(tmp_path)["generation"].to_pylist())

        return called

    monkeypatch.setattr(Path, "unlink", looking(Path.unlink))
    monkeypatch.setattr(os, "replace", looking(os.replace))
    opened(tmp_path, 3)
    assert len(seen) >= 3
    assert all(each == [0, 1, 2] for each in seen)
    assert [part for part in parts if part.exists()] == parts[:1]


def test_damaged_parts_are_passed_over_and_rebuilt_from_the_journal(tmp_path: Path, caplog) -> None:
    _, second, third = three_parts(tmp_path)
    second.write_bytes(b"")
    content = third.read_bytes()
    place = content.index(np.float64(12.0).tobytes())
    third.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert read_metrics(tmp_path)["generation"].to_pylist() == [0]
    assert f"{second} is damaged and passed over" in caplog.text
    assert f"{third} is damaged and passed over" in caplog.text
    opened(tmp_path, 3)
    table = read_metrics(tmp_path)
    assert table["generation"].to_pylist() == [0, 1, 2]
    np.testing.assert_allclose(table["loss_best"], LOSSES[:3].min(axis=1), rtol=1e-6)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    write_atomically(tmp_path / "metrics" / "00000000.parquet", b"kept")
    names = [
        "metrics/.00000000.parquet.k8_x9abc",
        ".experiment.yaml.abcdefgh",
        ".new.json.abcdefgh",
        ".lock",
        ".copy.lock",
    ]
    for name in names:
        (tmp_path / name).touch()
        if "new" not in name:
            os.utime(tmp_path / name, (time.time() - 7200,) * 2)
    remove_leftovers(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".copy.lock", ".lock", ".new.json.abcdefgh", "metrics/00000000.parquet"]
