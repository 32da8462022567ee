"""Figures as text: what is refused and how, and that every shipped one is made of valid trials."""

from pathlib import Path

import pytest

from es_randomized.errors import ConfigError
from es_randomized.fitness import parameters
from es_randomized.paper.figure import load_figure
from es_randomized.paper.points import trials_by_cell, trials_of

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toy_figure.yaml"
FIGURES = sorted((ROOT / "configs" / "paper").glob("*.yaml"))
SHIPPED = [(path, scale) for path in FIGURES for scale in ("small", "full", "recipes")]


def changed(tmp_path, old, new):
    text = TOY.read_text()
    assert old in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new).replace("tiny_gradient.yaml", str(TOY.with_name("tiny_gradient.yaml"))))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Toy", "tittle: Toy", "tittle: unknown key; did you mean title?"),
        ("label: exponent q", "lable: exponent q", "axes.q.lable: unknown key; did you mean label?"),
        ("answer: sampled", "anser: sampled", "curves.1.anser: unknown key; did you mean answer?"),
        ("answer: sampled", "answer: guessed", "curves.1.answer: String should match pattern"),
        ("note: everything is tiny", "notes: tiny", "scales.small.notes: unknown key; did you mean note?"),
        ("measures: [average], axis: q", "measures: [avrage], axis: q", "panels.0.measures"),
        ("measures: [average], axis: q", "measures: [average, p95], axis: q", "a panel with an axis draws one measure"),
        ("{model: fresh, answer: sampled}", "{model: frsh}", "curves: nothing is called frsh; did you mean fresh?"),
        ("axis: q}", "axis: p}", "panels: nothing is called p"),
        ("{objective.q: [3]}", "{objective.q: [3], batch.seeds: [1, 2]}", "need one value each for every position"),
        ("axes: {q: {objective.q: [3, 4]}}", "axes: {qq: {objective.q: [3]}}", "nothing is called qq; did you mean q?"),
        (
            "seeds: [0, 1]",
            "seeds: [0, 1]\n    models: {fres: {}}",
            "two_seeds.models: nothing is called fres; did you mean",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_meant(tmp_path, old, new, message):
    path = changed(tmp_path, old, new)
    with pytest.raises(ConfigError) as error:
        load_figure(path, "two_seeds" if "qq" in new or "models" in new else "small")
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_scale_changes_settings_of_a_model(tmp_path):
    text = "seeds: [0, 1]\n    models: {fresh: {objective.q: 7, batch.seeds: 4}}"
    figure = load_figure(changed(tmp_path, "seeds: [0, 1]", text), "two_seeds")
    assert {(t.experiment.objective.q, t.experiment.batch.seeds) for t in trials_of(figure)} == {(7, 4)}


def test_an_unknown_scale_or_file_is_named():
    with pytest.raises(ConfigError, match="nothing is called smal; did you mean small"):
        load_figure(TOY, "smal")
    with pytest.raises(ConfigError, match="cannot read the figure missing"):
        load_figure(Path("missing.yaml"), "small")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("objective.q: [3]", "objective.qq: [3]", "objective.qq: unknown key; did you mean q?"),
        ("{budget.generations: 3}", "{budget.generations: 0}", "budget.generations"),
    ],
)
def test_settings_of_trials_are_checked_before_anything_is_trained(tmp_path, old, new, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        trials_of(load_figure(changed(tmp_path, old, new), "small"))


@pytest.mark.parametrize(("path", "scale"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_every_shipped_figure_is_made_of_different_valid_trials(path, scale):
    figure = load_figure(path, scale)
    trials = trials_of(figure)
    assert len({repr(trial.experiment) for trial in trials}) == len(trials) == len({t.name for t in trials})
    assert {trial.experiment.seed for trial in trials} == set(figure.scale.seeds)
    for trial in trials:
        experiment = trial.experiment
        assert experiment.batch.cases(experiment.task) > 0
        assert experiment.batch.fixed_seed == ("fixed" in trial.name)
        if scale != "recipes":
            assert (experiment.driver.kind == "gradient") == experiment.task.differentiable
        assert trial.sources[0] is None
    sizes = {parameters(t.experiment.model, t.experiment.task) for t in trials if t.experiment.seed == 0}
    assert max(sizes) < 400_000


@pytest.mark.parametrize(("path", "scale"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_the_votes_that_are_drawn_are_taken(path, scale):
    figure = load_figure(path, scale)
    trials = trials_by_cell(figure)
    for panel in figure.panels:
        for curve in figure.curves_of(panel):
            trial = trials[curve.model, panel.axis, 0, figure.scale.seeds[0]]
            if curve.answer.startswith("majority"):
                assert int(curve.answer.split()[-1]) in trial.experiment.evaluation.votes
            assert curve.source in trial.sources


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_full_scale_has_a_trial_at_every_position_of_the_paper(path):
    figure = load_figure(path, "full")
    assert figure.scale.comparable
    for panel in figure.panels:
        for curve in figure.curves_of(panel):
            for measure in panel.measures:
                known = curve.paper.get(measure, {})
                if panel.axis and isinstance(known, dict):
                    assert set(known) <= {float(value) for value in figure.axes[panel.axis].values}


def test_a_tile_that_does_not_divide_the_cases_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match="must divide the 8 cases"):
        trials_of(load_figure(changed(tmp_path, "{budget.generations: 3}", "{plan.tile: 3}"), "small"))


def test_points_that_ask_for_the_same_experiment_share_a_trial():
    figure = load_figure(ROOT / "configs" / "paper" / "fig2.yaml", "full")
    trials = trials_by_cell(figure)
    by_q, by_m = figure.axes["q"].values.index(100), figure.axes["m"].values.index(30)
    assert trials["fresh", "q", by_q, 0] is trials["fresh_m", "m", by_m, 0]


def test_a_model_wins_over_an_axis_and_an_axis_over_the_scale():
    figure = load_figure(ROOT / "configs" / "paper" / "fig1.yaml", "small")
    trials = trials_by_cell(figure)
    expected, robust = (trials[model, "pairs", 2, 1].experiment for model in ("expected_fixed", "robust_fresh"))
    assert type(expected.objective).__name__ == "Expected"
    assert (expected.task.n, expected.task.bits, expected.batch.seeds, expected.seed) == (10, 3, 1, 1)
    assert (robust.batch.seeds, robust.objective.q.end) == (20, 100)
