"""From evaluations to numbers to a picture, without any training."""

import json

import numpy as np
import pytest
from scipy import stats

from es_randomized.paper.figure import Curve
from es_randomized.paper.plot import picture, save
from es_randomized.paper.results import bounds_of, estimate, measured
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.measure import Bounds
from es_randomized.tasks.treasure_hunt import TreasureHunt

RATE = {"value": 0.25, "low": 0.2, "high": 0.3}
SUCCESS = {
    "headline": "success",
    "average": RATE,
    "p95": RATE | {"value": 0.1},
    "worst": RATE,
    "majority": {"5": {"average": RATE | {"value": 0.5}}},
    "by_seed": {"always": 0.5, "depends_on_seed": 0.2, "never": 0.3},
    "loss": {"average": {"value": 0.4}, "p95": {"value": 0.6}, "between_runs": 0.3},
}
STEPS = SUCCESS | {"headline": "loss", "unit": "total steps", "majority": {}}


@pytest.mark.parametrize(
    ("tree", "answer", "measure", "value"),
    [
        (SUCCESS, "one run", "average", 25),
        (SUCCESS, "majority of 5", "average", 50),
        (SUCCESS, "majority of 30", "average", None),
        (SUCCESS, "one run", "loss_p95", 0.6),
        (SUCCESS, "one run", "seed_share", 30),
        (SUCCESS, "one run", "seed_decides", 20),
        (SUCCESS, "majority of 5", "seed_decides", None),
        (SUCCESS, "majority of 5", "loss_p95", None),
        (STEPS, "one run", "p95", 0.1),
        ({k: v for k, v in SUCCESS.items() if k != "loss"}, "sampled", "loss_average", None),
    ],
)
def test_shares_are_in_percent_and_losses_in_task_units(tree, answer, measure, value):
    assert measured(tree, Curve(model="any", answer=answer), measure) == pytest.approx(value)


def test_the_interval_over_training_seeds_is_students():
    values = [40.0, 50.0, 45.0]
    found = estimate(values, Bounds(0.0, 100.0))
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((45, low, high))
    assert estimate([0.0, 90.0], Bounds(0.0, 100.0))["high"] == 100
    assert estimate([7.0]) == {"mean": 7.0, "low": None, "high": None}
    assert estimate([]) is None


@pytest.mark.parametrize(
    ("task", "tree", "statistic", "low", "high"),
    [
        (AssociativeRecall(), SUCCESS, "average", 0, 100),
        (AssociativeRecall(), SUCCESS, "loss_p95", 0, np.inf),
        (TreasureHunt(steps=9, episodes=2), STEPS, "p95", 0, 18),
        (TreasureHunt(steps=9, episodes=2), STEPS, "loss_average", 0, 18),
        (TreasureHunt(steps=9, episodes=2), STEPS, "seed_share", 0, 100),
    ],
)
def test_intervals_over_training_seeds_stay_where_values_are_possible(task, tree, statistic, low, high):
    found = estimate([1.0, 17.0], bounds_of(task, tree, statistic))  # Student's would reach from -93 to 111
    assert found["low"] == low
    assert found["high"] == pytest.approx(min(high, stats.t.interval(0.95, 1, 9, 8)[1]))


def curve(model, answer, measure, xs, paper=()):
    points = [
        {
            "x": x,
            "by_seed": {0: 40.0, 1: 60.0},
            "sample": {"training_seeds": 2},
            "mean": 50.0,
            "low": 0.0,
            "high": 100.0,
        }
        for x in xs
    ]
    shown = [{"x": x, "value": value} for x, value in paper]
    return {
        "model": model,
        "label": f"{model} seeds",
        "answer": answer,
        "measure": measure,
        "points": points,
        "paper": shown,
    }


def tree(comparable=True):
    along = [
        curve("fresh", "one run", "average", [2, 4], [(4, 30.0), (8, 35.0)]),
        curve("fresh", "sampled", "average", [2]),
    ]
    beside = [
        curve(model, "one run", measure, [None]) for model in ("fresh", "fixed") for measure in ("average", "worst")
    ]
    common = {"lines": [], "measures": ["average"]}
    return {
        "title": "The title",
        "scale": "small",
        "note": "four cells only",
        "paper_comparable": comparable,
        "confidence": 0.95,
        "panels": [
            {"title": "Along", "label": "success (%)", "axis": "exponent q", "curves": along} | common,
            {"title": "Beside", "label": "total steps", "axis": None, "curves": beside}
            | common
            | {"lines": [{"label": "exact minimax", "measure": "worst", "value": 8.0}]},
        ],
    }


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_everything_is_labelled():
    figure = picture(tree())
    figure.draw_without_rendering()
    found = texts(figure)
    expected = {"The title", "Along", "Beside", "success (%)", "total steps", "exponent q", "exact minimax", "paper"}
    assert expected | {"fresh seeds", "fresh seeds, sampled", "fixed seeds", "average", "worst input"} <= set(found)
    (note,) = [" ".join(text.split()) for text in found if "four cells only" in text]
    assert "2 per point" in note
    assert "95% intervals" in note
    along, beside = figure.axes
    assert [tick.get_text() for tick in along.get_xticklabels()] == ["2", "4", "8"]
    assert [tick.get_text() for tick in beside.get_xticklabels()] == ["fresh seeds", "fixed seeds"]


def test_the_papers_values_are_drawn_hollow_and_only_where_they_compare():
    (shown,) = [line for line in picture(tree()).axes[0].lines if line.get_gid() == "paper"]
    assert shown.get_markerfacecolor() == "none"
    assert list(shown.get_ydata()) == [30, 35]
    without = picture(tree(comparable=False))
    assert "paper" not in texts(without)
    assert [tick.get_text() for tick in without.axes[0].get_xticklabels()] == ["2", "4"]


def test_the_picture_is_a_png_of_numbers_that_went_through_json(tmp_path):
    save(tmp_path / "figure.png", json.loads(json.dumps(tree())))
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
