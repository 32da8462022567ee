"""A sweep on a page: every trial is in the table, and lines are where the settings are."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from es_randomized.errors import RunFolderError
from es_randomized.report.page import write_page
from es_randomized.report.sweep import read_trials, scale
from tests.tools.html import read_html

RATES = (0.01, 0.1, 0.001)
SCORES = (0.5, 0.25, None)
TABLE = pa.table(
    {
        "driver.optimizer.learning_rate": RATES,
        "objective": ["worst_case", "expected", "expected"],
        "trial": ["a", "b", "c"],
        "seed": [0, 0, 1],
        "status": ["finished", "stopped", "failed"],
        "message": ["", "", "ran out of memory"],
        "generations": [100, 40, 0],
        "score": pa.array(SCORES, pa.float64()),
        "seconds": pa.array([12.5, 5.0, None], pa.float64()),
        "loss": pa.array([0.75, 0.5, None], pa.float64()),
        "folder": ["x/a", "x/b", "x/c"],
    }
)


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "rates"
    folder.mkdir()
    pq.write_table(TABLE, folder / "trials.parquet")
    return folder


def test_a_sweep_is_a_page(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("es_randomized.report.figures.DOTS_PER_INCH", 40)
    page = read_html(write_page([], tmp_path / "page", [sweep]).read_text())
    assert [heading.text for heading in page.all("h2")] == ["Sweep: rates"]
    found = page.all("table")[0].cells()
    assert found[0][:4] == ["trial", "driver.optimizer.learning_rate", "objective", "seed"]
    assert found[1:] == [  # trained to the end, given up, without a score
        ["a", "0.01", "worst_case", "0", "finished", "100", "12.5", "0.75", "0.5"],
        ["b", "0.1", "expected", "0", "stopped", "40", "5", "0.5", "0.25"],
        ["c", "0.001", "expected", "1", "failed", "0", "–", "–", "–"],
    ]
    (image,) = page.all("img")
    assert (
        "2 trials of rates. The best: a with driver.optimizer.learning_rate 0.01, objective worst_case: 0.5"
        in (image.attributes["alt"])
    )
    assert (tmp_path / "page" / "sweep-0-parallel.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_are_by_size_or_by_logarithm_and_words_in_order():
    np.testing.assert_allclose(scale([1, 3, 2]).at, [0, 1, 0.5])
    np.testing.assert_allclose(scale([0.001, 0.1, 0.01]).at, [0, 1, 0.5])
    assert list(scale([0.001, 0.1, 0.01]).ticks.values()) == ["0.001", "0.01", "0.1"]
    np.testing.assert_allclose(scale(["b", "a", "b"]).at, [0.75, 0.25, 0.75])
    np.testing.assert_allclose(scale([4, 4]).at, [0.5, 0.5])
    assert list(scale([True, False]).ticks.values()) == ["False", "True"]


def test_a_damaged_table_is_said(sweep):
    (sweep / "trials.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunFolderError, match=r"trials\.parquet is damaged .*es-randomized sweep"):
        read_trials(sweep)
