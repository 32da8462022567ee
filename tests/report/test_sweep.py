"""A sweep on a page: every trial is in the table, curves and lines are where they should be, the best stands out."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from es_randomized.errors import RunFolderError
from es_randomized.evaluation.statistics import Estimate
from es_randomized.report import figures
from es_randomized.report.page import write_page
from es_randomized.report.sections.curves import Checks
from es_randomized.report.sweep.curves import Learned, limits, sweep_learning
from es_randomized.report.sweep.parallel import parallel_coordinates, scale
from es_randomized.report.sweep.trials import MOST_ROWS, Point, read_trials, score_of
from tests.tools.html import read_html
from tests.tools.layout import layout_problems
from tests.tools.made_run import TASKS, Made

RATE = "driver.optimizer.learning_rate"
TABLE = pa.table(
    {
        RATE: [0.01, 0.01, 0.1, 0.001],
        "objective": ["worst_case", "worst_case", "expected", "expected"],
        "trial": ["a-seed0", "a-seed1", "b-seed0", "c-seed1"],
        "seed": [0, 1, 0, 1],
        "status": ["finished", "finished", "stopped", "failed"],
        "message": ["", "", "", "ran out of memory"],
        "generations": [100, 100, 40, 0],
        "score": pa.array([0.5, 0.3, 0.25, None], pa.float64()),
        "seconds": pa.array([12.5, 12.0, 5.0, None], pa.float64()),
        "loss": pa.array([0.75, 0.7, 0.5, None], pa.float64()),
        "folder": ["x/a", "x/a", "x/b", "x/c"],
    }
)


def written(folder, table, metric="average"):
    folder.mkdir()
    pq.write_table(table.replace_schema_metadata({"metric": metric}), folder / "trials.parquet")
    return folder


@pytest.fixture
def canvases(monkeypatch):
    """Every matplotlib figure that is drawn."""
    drawn, blank = [], figures.blank
    monkeypatch.setattr(figures, "DOTS_PER_INCH", 40)
    monkeypatch.setattr(figures, "blank", lambda size: drawn.append(blank(size)) or drawn[-1])
    return drawn


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four trials of which the last failed before it wrote anything."""
    folder = written(tmp_path_factory.mktemp("sweeps") / "rates", TABLE)
    for name, seed, evaluated in (("a-seed0", 0, True), ("a-seed1", 1, True), ("b-seed0", 0, False)):
        Made(folder / name, "recall", seed=seed, evaluated=evaluated)
    return folder


def test_the_folder_of_a_sweep_alone_is_a_page(sweep, tmp_path, canvases):
    page = read_html(write_page([], tmp_path / "page", [sweep]).read_text())
    titles = [heading.text for heading in page.all("h2")]
    assert titles == ["Sweep: rates", "Best settings of rates", "Trials of rates"]
    text = page.all("main")[0].text
    assert "4 trials of 2 settings: 2 finished, 1 stopped, 1 failed. Compared by the average failure (%)" in text
    assert (
        f"{RATE} 0.01, objective worst_case: the best of those trained to the end (1 of 2) by the average failure (%)"
        in text
    )
    assert "train it again with other seeds" in text
    files = {file.name for file in (tmp_path / "page").glob("*.png")}
    assert files == {"sweep-0-learning.png", "sweep-0-parallel.png", "sweep-0-best-instances-0.png"}
    assert [layout_problems(each) for each in canvases] == [[], [], []]
    best, trials = (table.cells() for table in page.all("table"))
    trees = [json.loads((sweep / f"a-seed{seed}" / "evaluation.json").read_text()) for seed in (0, 1)]
    mean = 50 * sum(tree["average"]["value"] for tree in trees)
    assert best[1][1].startswith(f"{mean:.1f} [")
    settings, training = ["learning_rate", "objective"], ["seed", "status", "generations", "seconds", "last loss"]
    assert trials == [  # trained to the end, given up, without a score
        ["trial", "average failure (%)", *settings, *training],
        ["a-seed1", "30", "0.01", "worst_case", "1", "finished", "100", "12", "0.7"],
        ["a-seed0", "50", "0.01", "worst_case", "0", "finished", "100", "12.5", "0.75"],
        ["b-seed0", "25", "0.1", "expected", "0", "stopped", "40", "5", "0.5"],
        ["c-seed1", "–", "0.001", "expected", "1", "failed", "0", "–", "–"],
    ]


def test_curves_are_means_over_seeds_with_intervals(sweep, canvases):
    figure = sweep_learning("sweep", read_trials(sweep))
    assert "a: from 75 to 35 after 6 generations. b: from 80 to 40 after 6 generations." in figure.alt
    (axes,) = canvases[0].axes
    assert axes.get_ylabel() == "average failure (%)"
    curves = {line.get_label(): line for line in axes.get_lines()}
    low, high = np.clip(stats.t.interval(0.95, 1, 0.4, stats.sem([0.5, 0.3])), 0, 1)
    scores = f"{40:g} [{100 * low:.4g}, {100 * high:.4g}]"
    assert [label for label in curves if label[0] != "_"] == [f"a (2 seeds): {scores}", "b: 25"]
    both = curves[f"a (2 seeds): {scores}"]
    assert both.get_xdata().tolist() == [2, 4, 6]
    np.testing.assert_allclose(both.get_ydata(), [75, 55, 35])
    low, high = stats.t.interval(0.95, 1, 0.35, stats.sem([0.4, 0.3]))
    ((_, _, (bars,)),) = axes.containers
    np.testing.assert_allclose(bars.get_segments()[-1], [[6, max(0, 100 * low)], [6, min(100, 100 * high)]], rtol=1e-5)


def test_lines_go_from_settings_to_the_mean_score(sweep, canvases):
    figure = parallel_coordinates("sweep", read_trials(sweep))
    assert f"with {RATE} 0.01, objective worst_case; b: 25 with {RATE} 0.1, objective expected." in figure.alt
    (axes,) = canvases[0].axes
    assert axes.get_xticklabels()[-1].get_text().replace("\n", " ") == "average failure (%)"
    lines = {line.get_label()[:1]: list(line.get_ydata()) for line in axes.get_lines()}
    assert lines["a"] == [0, 0.75, 1]  # the smaller rate, the last word, the larger failure
    assert lines["b"] == [1, 0.25, 0]


def test_many_trials_can_be_read(sweep, tmp_path, canvases):
    count, name = 60, "std{:.4g}-learning_rate0.001-kindtreasure_hunt-objective.kindq_norm-seed0"
    rates = np.geomspace(0.001, 1, count)
    columns = {"driver.std": rates, "trial": [name.format(rate) for rate in rates], "seed": [0] * count}
    columns |= {"status": ["finished"] * 30 + ["stopped"] * 30, "score": np.linspace(0.9, 0.1, count)}
    many = written(tmp_path / "many", pa.table(columns))
    for trial in columns["trial"]:
        (many / trial).symlink_to(sweep / "b-seed0")
    page = read_html(write_page([], tmp_path / "page", [many]).read_text())
    assert len(page.all("table")[-1].cells()) == 1 + MOST_ROWS
    learning, parallel, *_ = canvases
    for canvas in canvases:
        assert layout_problems(canvas) == []
    for canvas in (learning, parallel):
        strong = [line for line in canvas.axes[0].get_lines() if line.get_linewidth() >= 2]
        assert [line.get_label().split("-")[0] for line in sorted(strong, key=lambda line: line.get_label())] == [
            "std0.0236",
            "std0.02653",
            "std0.02982",
        ]  # the last of those that were trained to their end
    assert learning.legends[0].get_texts()[-1].get_text() == "the other 57"
    assert len(page.all("img")) == 2


def test_what_diverges_leaves_room_for_the_others():
    def learned(*values):
        found = Checks(np.arange(3), np.arange(3), np.array([values]))
        return Learned(
            Point("", [], Estimate(0.0, 0.0, 0.0)), found, [Estimate(value, value, value) for value in values]
        )

    assert limits([learned(2.0, 1.0, np.nan)], [learned(2.0, 1e9, np.inf), learned(2.0, 0.0, 1.0)]) == (-0.1, 2.5)


def test_a_table_without_its_folders_shows_what_it_has(tmp_path, canvases):
    folder = written(tmp_path / "moved", TABLE)
    page = read_html(write_page([], tmp_path / "page", [folder]).read_text())
    assert [heading.text for heading in page.all("h2")] == ["Sweep: moved", "Trials of moved"]
    assert page.all("table")[0].cells()[1][1] == "0.3"
    assert len(page.all("img")) == len(canvases) == 1


@pytest.mark.parametrize(
    ("metric", "task", "label", "shown"),
    [
        ("worst", "recall", "failure of the worst input (%)", "12.5"),
        ("p95", "hunt", "total steps at the 95th percentile", "0.125"),
        ("loss", "recall", "training loss at the last check", "0.125"),
    ],
)
def test_scores_are_called_by_what_they_measure(metric, task, label, shown):
    score = score_of(metric, TASKS[task].measure)
    assert (score.label, score.shown(0.125)) == (label, shown)


def test_numbers_are_by_size_or_by_logarithm_and_words_in_order():
    np.testing.assert_allclose(scale([1, 3, 2]).at, [0, 1, 0.5])
    np.testing.assert_allclose(scale([0.001, 0.1, 0.01]).at, [0, 1, 0.5])
    assert list(scale([0.001, 0.1, 0.01]).ticks.values()) == ["0.001", "0.01", "0.1"]
    np.testing.assert_allclose(scale(["b", "a", "b"]).at, [0.75, 0.25, 0.75])
    np.testing.assert_allclose(scale([4, 4]).at, [0.5, 0.5])
    assert list(scale([1, 1.01, 1.5, 1.99, 2]).ticks.values()) == ["1", "1.5", "2"]  # others would lie upon each other
    assert list(scale([True, False]).ticks.values()) == ["False", "True"]


def test_a_damaged_table_is_said(tmp_path):
    folder = written(tmp_path / "rates", TABLE)
    (folder / "trials.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunFolderError, match=r"trials\.parquet is damaged .*es-randomized sweep"):
        read_trials(folder)
