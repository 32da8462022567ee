"""Which trial comes next, with a formula in place of training."""

import math
from pathlib import Path

from es_randomized.trials.parameter import Parameter
from es_randomized.trials.search import Tried
from es_randomized.trials.searches.grid import Grid
from es_randomized.trials.searches.optuna import Optuna
from es_randomized.trials.searches.random import Random
from es_randomized.trials.sweep import Sweep
from es_randomized.trials.sweep_trials import study_of, tried
from es_randomized.trials.trial import Record, TrialsFolder

STD = Parameter(low=0.001, high=1.0, scale="log")
KIND = Parameter(values=["a", "b", "c"])


def loss(point):
    """Best at std = 0.1."""
    return abs(math.log10(point["std"]) + 1)


def searched(search, count):
    """The losses of points tried one after the other."""
    known = []
    while len(known) < count and (point := search.next(known)):
        assert point not in [one.point for one in known]
        known.append(Tried(point, loss(point)))
    return known


def test_optuna_finds_better_points_than_chance():
    asked = searched(Optuna(points=50, parameters={"std": STD}), 50)
    drawn = searched(Random(points=50, parameters={"std": STD}), 50)
    assert len(asked) == len(drawn) == 50
    middle = [sorted(one.score for one in points[20:])[15] for points in (asked, drawn)]
    assert middle[0] < 0.5 * middle[1]


def test_what_comes_next_depends_on_what_was_tried_alone():
    """So a sweep that was interrupted goes on as it would have."""
    search = Optuna(points=40, parameters={"std": STD, "which": KIND})
    known = [Tried({"std": 10 ** (-n / 5), "which": "abc"[n % 3]}, float(n)) for n in range(14)]
    known.append(Tried({"std": 0.5, "which": "a"}, None))
    assert search.next(known) == search.next(list(known))
    assert search.next(known) != search.next(known[:-1])


def test_optuna_ends_when_every_point_is_known():
    search, known = Optuna(points=9, parameters={"which": KIND}), []
    while point := search.next(known):
        known.append(Tried(point, 1.0))
    assert sorted(one.point["which"] for one in known) == ["a", "b", "c"]


def sweep_of(search, seeds=(0,)):
    return Sweep(name="toy", base=Path("toy.yaml"), search=search, seeds=list(seeds))


def test_what_was_interrupted_comes_first_and_what_failed_again(tmp_path):
    folder = TrialsFolder(tmp_path)
    for q, status in {1: "finished", 2: "failed", 4: "begun"}.items():
        folder.write(f"q{q}-seed0", Record({"q": q}, 0, status))
    study = study_of(sweep_of(Grid(parameters={"q": Parameter(values=[1, 2, 3, 4])})), folder)
    assert [trial.name for trial in study.trials] == ["q2-seed0", "q4-seed0"]
    assert [trial.name for trial in study.more(study.records)] == ["q3-seed0"]
    assert study.total == 4


def test_a_point_is_tried_with_every_seed_before_a_search_hears_of_it(tmp_path):
    sweep, folder = sweep_of(Optuna(points=2, parameters={"std": STD}), seeds=(3, 4)), TrialsFolder(tmp_path)
    first, second = study_of(sweep, folder).more({})
    assert first.parameters == second.parameters
    assert (first.seed, second.seed) == (3, 4)
    known = {first.name: Record(first.parameters, 3, "finished", 0.5), second.name: Record(first.parameters, 4)}
    assert tried(sweep, known) == [Tried(first.parameters, None)]
    known[second.name] = Record(first.parameters, 4, "stopped", 0.7)
    assert tried(sweep, known) == [Tried(first.parameters, 0.6)]
    known[second.name] = Record(first.parameters, 4, "failed")
    assert tried(sweep, known) == [Tried(first.parameters, math.inf)]
    folder.write(first.name, known[first.name])
    assert [trial.name for trial in study_of(sweep, folder).trials] == [second.name], "the point lacks its second seed"
