"""Sweeps as text: strict files, and the trials they mean."""

from pathlib import Path

import numpy as np
import pytest

from es_randomized.config.yaml import load, write_yaml
from es_randomized.errors import ConfigError
from es_randomized.trials.parameter import Parameter
from es_randomized.trials.queue import Queue
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import check, planned, study_of, trial_of
from es_randomized.trials.trial import TrialsFolder

TESTS = Path(__file__).parents[1]
CONFIGS = sorted((TESTS.parent / "configs" / "sweeps").glob("*.yaml"))
GRID = {"parameters": {"objective.q": {"values": [1, 2]}, "driver.std": {"values": [0.1, {"start": 0.1, "end": 0.05}]}}}
BETWEEN = {
    "driver.std": {"low": 0.01, "high": 1, "scale": "log"},
    "driver.population": {"low": 2, "high": 5, "whole": True},
}


@pytest.fixture
def written(tmp_path):
    """Write a sweep of tiny.yaml and load it."""

    def write(**tree):
        path = tmp_path / "mine.yaml"
        path.write_text(write_yaml({"base": str(TESTS / "tiny.yaml"), **tree}))
        return load_sweep(path)

    return write


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_trial_of_a_shipped_sweep_is_an_experiment(config, tmp_path):
    sweep = load_sweep(config)
    trials = planned(sweep)
    assert trials is None or len({trial.name for trial in trials}) == len(trials) > 5
    check(sweep, TrialsFolder(tmp_path))
    for share in (0.0, 0.999):  # both ends of what is between
        point = {name: parameter.at(share) for name, parameter in sweep.search.parameters.items()}
        assert trial_of(sweep, point, seed=0).experiment.seed == 0


def test_a_grid_is_every_combination_with_every_seed(written):
    trials = planned(written(search=GRID, seeds=[3, 5]))
    assert [trial.name for trial in trials[:4]] == [
        "q1-std0.1-seed3",
        "q1-std0.1-seed5",
        "q1-std_2-seed3",
        "q1-std_2-seed5",
    ]
    assert len(trials) == 8
    assert trials[2].parameters == trials[3].parameters != trials[4].parameters


def test_long_names_end_in_a_hash_and_stay_different(written):
    shapes = [{"start": 0.1, "end": 0.01 + step / 100, "shape": "exponential"} for step in range(2)]
    settings = {f"driver.a_setting_with_a_long_name_{number}": {"values": [number]} for number in range(9)}
    sweep = written(search={"parameters": {"driver.std": {"values": shapes}} | settings})
    names = [trial_of(sweep, point, seed).name for point in sweep.search.listed() for seed in (0, 1)]
    assert len(set(names)) == len(names) == 4
    assert all(200 < len(name.encode()) <= 240 for name in names)
    assert names == [trial_of(sweep, point, seed).name for point in sweep.search.listed() for seed in (0, 1)]


def test_a_trial_is_the_base_with_its_settings_and_its_seed(written):
    sweep = written(set={"budget.generations": 7}, search=GRID)
    for trial in planned(sweep):
        overrides = {"budget.generations": 7, **trial.parameters, "seed": trial.seed}
        assert trial.experiment == load(TESTS / "tiny.yaml", overrides)


def test_settings_can_change_along_with_another(written):
    along = {"batch.seeds": {"values": [1, 2], "along": {"batch.instances": [8, 4]}}}
    sweep = written(search={"parameters": along})
    batches = [trial.experiment.batch for trial in planned(sweep)]
    assert [(batch.seeds, batch.instances) for batch in batches] == [(1, 8), (2, 4)]


def test_random_points_are_different_repeatable_and_do_not_move(written):
    few = planned(written(search={"kind": "random", "points": 5, "parameters": BETWEEN}))
    many = planned(written(search={"kind": "random", "points": 40, "parameters": BETWEEN}))
    assert many[:5] == few
    assert len({trial.name for trial in many}) == 40
    stds, populations = zip(*(trial.parameters.values() for trial in many), strict=True)
    assert set(populations) == {2, 3, 4, 5}
    assert all(std == float(f"{std:.4g}") and 0.01 <= std <= 1 for std in stds)
    assert 0.04 < np.median(stds) < 0.25, "log: half of them below 0.1"
    other = planned(written(search={"kind": "random", "points": 5, "parameters": BETWEEN, "seed": 1}))
    assert other != few


def test_there_are_no_more_random_points_than_there_are(written):
    assert len(planned(written(search={"kind": "random", "points": 9, **GRID}))) == 4


def test_both_ends_are_possible():
    whole = Parameter(low=1, high=3, whole=True)
    assert [whole.at(share) for share in (0.0, 0.5, 0.999)] == [1, 2, 3]
    assert Parameter(low=0.5, high=0.99996).at(0.9999999) == 0.99996, "rounded, but not beyond"
    assert Parameter(values=["a", "b"]).at(0.999) == "b"


REFUSED = {
    "unknown key": ({"serch": {}, "search": GRID}, "serch: unknown key; did you mean search?"),
    "no base": ({"base": None, "search": GRID}, "cannot read the experiment"),
    "nothing varied": ({}, "search: expected a mapping with parameters"),
    "unknown key of a parameter": (
        {"search": {"parameters": {"objective.q": {"value": [1]}}}},
        "search.parameters.objective.q.value: unknown key; did you mean values?",
    ),
    "no values": ({"search": {"parameters": {"objective.q": {"low": 1, "high": 2}}}}, "a grid needs values"),
    "no number of points": ({"search": {"kind": "random", **GRID}}, "this kind of search needs points"),
    "unknown kind": (
        {"search": {"kind": "bayes", **GRID}},
        "search.kind: no search is called 'bayes'; known: grid, optuna, random",
    ),
    "wrong ends": ({"search": {"parameters": {"objective.q": {"low": 2, "high": 1}}}}, "low < high"),
    "unlike": ({"search": GRID, "metric": "loss"}, "cannot compare trials that differ in objective"),
    "unknown setting": (
        {"search": {"parameters": {"objective.p": {"values": [1]}}}},
        "the trial p1-seed0 is no experiment: objective.p: unknown key; known: q",
    ),
    "unknown section": ({"search": {"parameters": {"objectiv.q": {"values": [1]}}}}, "did you mean objective?"),
    "unknown setting for optuna": (
        {"search": {"kind": "optuna", "points": 3, "parameters": {"driver.sdt": {"low": 1, "high": 2}}}},
        "driver.sdt: unknown key; did you mean std?",
    ),
    "impossible value": ({"search": {"parameters": {"objective.q": {"values": [0.5]}}}}, "q must be at least 1"),
    "one name": (
        {"search": {"parameters": {"objective.q": {"values": [1, 1]}}}},
        "two points of the sweep are called q1",
    ),
    "seed twice": ({"search": GRID, "seeds": [0, 0]}, "every training seed once"),
    "seed as parameter": ({"search": {"parameters": {"seed": {"values": [1]}}}}, "list them under seeds"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_mistakes_are_refused_before_anything_starts(what, written, tmp_path):
    tree, message = REFUSED[what]

    def begin():
        check(written(**tree), TrialsFolder(tmp_path / "out"))

    with pytest.raises(ConfigError) as refused:
        begin()
    assert message in str(refused.value)


def test_keys_of_before_mean_what_they_are_called_now_and_a_line_says_so(written, caplog):
    sweep = written(search=GRID, room={"cores": 2, "gpus": 0.5}, together=4)
    assert sweep == written(search=GRID, resources={"cores": 2, "gpus": 0.5}, trials_per_process=4)
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "room is now called resources",
        "together is now called trials_per_process",
    ]


def test_a_search_is_one_file_of_yours(written, tmp_path, monkeypatch):
    (tmp_path / "halves.py").write_text(
        "from es_randomized.settings import settings\n"
        "from es_randomized.trials.search import Search, first_new\n\n"
        "@settings\nclass Halves(Search):\n"
        "    start: float\n\n"
        "    def next(self, tried):\n"
        "        [name] = self.parameters\n"
        "        points = ({name: self.start / 2**number} for number in range(self.points))\n"
        "        return first_new(points, tried)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    parameters = {"driver.std": {"low": 0.001, "high": 1}}
    sweep = written(search={"kind": "halves", "points": 3, "start": 0.4, "parameters": parameters}, seeds=[0, 1])
    queue = Queue(study_of(sweep, TrialsFolder(tmp_path)))
    names = [assignment.name for _ in range(7) for assignment in queue.group()]
    assert names == [f"std{std}-seed{seed}" for std in (0.4, 0.2, 0.1) for seed in (0, 1)]
    assert queue.empty


def test_a_folder_of_another_experiment_is_refused(written, tmp_path):
    sweep, folder = written(search=GRID), TrialsFolder(tmp_path / "out")
    (trial, *_) = planned(sweep)
    folder.run(trial.name).create(trial.experiment)
    check(sweep, folder)
    other = written(search=GRID, set={"budget.generations": 3})
    with pytest.raises(ConfigError, match="holds another experiment than mine asks for now"):
        check(other, folder)
