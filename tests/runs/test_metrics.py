"""Metrics are readable at any time and complete after a crash."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from es_randomized.runs.metrics import Metrics, read_metrics, summary

LOSSES = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32)


def test_readable_while_the_run_goes_on_with_any_parquet_reader(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, LOSSES[:0])
    for generation in range(4):
        metrics.add(summary(generation, LOSSES[generation], seconds=float(generation)))
        if generation in (1, 2):
            metrics.flush()
    assert pq.read_table(tmp_path)["generation"].to_pylist() == [0, 1, 2]
    np.testing.assert_allclose(read_metrics(tmp_path)["loss_mean"], LOSSES[:3].mean(axis=1), rtol=1e-6)


def test_rows_lost_in_a_crash_are_filled_in_from_the_journal(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, LOSSES[:0])
    for generation in range(3):
        metrics.add(summary(generation, LOSSES[generation], seconds=10.0 + generation) | {"held_out_average": 0.5})
    metrics.flush()
    metrics.add(summary(3, LOSSES[3], seconds=13.0))  # never flushed: the crash
    resumed = Metrics(tmp_path, LOSSES[:5])
    assert resumed.seconds == 12.0
    table = read_metrics(tmp_path)
    assert table["generation"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["held_out_average"].to_pylist() == [0.5, 0.5, 0.5, None, None]
    np.testing.assert_allclose(table["loss_best"], LOSSES[:5].min(axis=1), rtol=1e-6)


def test_rows_past_the_journal_are_dropped(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, LOSSES[:0])
    for generation in range(5):
        metrics.add(summary(generation, LOSSES[generation], seconds=1.0))
        metrics.flush()
    Metrics(tmp_path, LOSSES[:2])
    assert read_metrics(tmp_path)["generation"].to_pylist() == [0, 1]


def test_non_finite_losses_are_counted_and_left_out_of_the_summary() -> None:
    row = summary(0, np.array([1, np.nan, 3, np.inf], np.float32), seconds=0.0)
    assert (row["non_finite"], row["loss_mean"], row["loss_best"]) == (2, 2.0, 1.0)
