"""Lanes of the cluster: who stands where, how busy they were, and that page and table say the same."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from es_randomized.report.material import Run
from es_randomized.report.sections.timeline import MOST_LANES, lanes, timeline, workers
from es_randomized.runs import metrics
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.timeline import SCHEMA


def stretches(node, pid, begin, end, busy=0.5, **last):
    """One a second; what is given of the last one is said of that alone."""
    rows = [
        {"worker": pid, "node": node, "pid": pid, "device": "cpu", "begin": float(at), "end": float(at + 1),
         "first_generation": at, "last_generation": at, "units": 10, "busy": busy,
         "waited": 0.25, "workers": None, "late": 0, "lost": 0}
        for at in range(begin, end)
    ]  # fmt: skip
    rows[-1] |= last
    return rows


def table(*rows):
    return pa.Table.from_pylist(sorted((row for each in rows for row in each), key=lambda row: row["begin"]), SCHEMA)


def run_with(stretches):
    return Run("demo", 0, RunFolder(Path("demo")), metrics.SCHEMA.empty_table(), None, None, {}, stretches)


FOUR = table(
    stretches("alpha", 1, 0, 20),
    stretches("alpha", 2, 0, 10, fate="lost", lost=2),
    stretches("alpha", 3, 12, 20, busy=1.0, late=4),
    stretches("beta", 4, 5, 15, fate="left"),
)


def test_who_comes_after_another_on_a_machine_takes_over_the_lane():
    found = lanes(FOUR)
    assert [(lane.name, lane.workers, lane.total("units")) for lane in found] == [
        ("0 on alpha", 1, 200),
        ("1 on alpha", 2, 180),
        ("2 on beta", 1, 100),
    ]
    assert found[1].busy() == pytest.approx((10 * 0.5 + 8 * 1.0) / 18)


def test_shares_are_of_the_time_somebody_was_there():
    shares = lanes(FOUR)[1].share(np.array([0.0, 4.0, 11.0, 12.0, 15.5]))
    np.testing.assert_allclose(shares, [0.5, 0.5, np.nan, 1.0])


def test_figure_and_table_say_who_was_late_and_who_was_lost(monkeypatch):
    monkeypatch.setattr("es_randomized.report.figures.DOTS_PER_INCH", 40)
    run = run_with(FOUR)
    figure = timeline("cluster-0", run)
    assert figure.png.startswith(b"\x89PNG")
    assert "1 on alpha: computed 72% of its time, 180 units, 4 of them late, 1 lost." in figure.alt
    assert workers(run).rows == [
        ["0 on alpha", "1", "200", "10.0", "50.0%", "25.0%", "0", "0"],
        ["1 on alpha", "2", "180", "13.0", "72.2%", "25.0%", "4", "1"],
        ["2 on beta", "1", "100", "5.0", "50.0%", "25.0%", "0", "0"],
    ]


def test_many_workers_are_shown_by_machine():
    many = [stretches(f"machine{number // 4:02}", number, 0, 2) for number in range(MOST_LANES + 4)]
    found = lanes(table(*many))
    assert len(found) == MOST_LANES // 4 + 1
    assert {lane.workers for lane in found} == {4}
    assert {lane.busy() for lane in found} == {0.5}


def test_all_workers_of_a_machine_with_a_supervisor_are_one_lane():
    (lane,) = lanes(table([row | {"workers": 8} for row in stretches("machine", 1, 0, 2, busy=6.0)]))
    assert (lane.workers, lane.busy(), lane.waited()) == (8, 0.75, 0.25)
    np.testing.assert_allclose(lane.share(np.array([0.0, 2.0])), [0.75])


def test_a_run_without_workers_has_no_lanes():
    assert timeline("cluster-0", run_with(SCHEMA.empty_table())) is None
