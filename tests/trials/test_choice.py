"""Which trial comes next, with a formula in place of training."""

import math
from pathlib import Path

from es_randomized.trials.search import choice_of
from es_randomized.trials.sweep import Parameter, Search, Sweep
from es_randomized.trials.trial import Record

STD = Parameter(low=0.001, high=1.0, scale="log")
KIND = Parameter(values=["a", "b", "c"])


def sweep_of(kind="optuna", points=None, seeds=(0,), **parameters):
    search = Search(kind=kind, points=points, parameters=parameters)
    return Sweep(name="toy", base=Path("toy.yaml"), search=search, seeds=list(seeds))


def loss(trial):
    """Best at std = 0.1."""
    return abs(math.log10(trial.parameters["std"]) + 1)


def worked(choice, count=math.inf, records=None):
    """Let trials come to their loss one after the other; returns them."""
    trials = []
    while len(trials) < count and (trial := choice.next()):
        choice.tell(trial, loss(trial) if "std" in trial.parameters else 1.0)
        trials.append(trial)
        if records is not None:
            records[trial.name] = Record(trial.parameters, trial.seed, "finished", loss(trial))
    return trials


def test_of_a_list_what_was_interrupted_comes_first_and_what_failed_again():
    sweep = sweep_of("grid", q=Parameter(values=[1, 2, 3, 4]))
    states = {1: "finished", 2: "failed", 4: "begun"}
    records = {f"q{q}-seed0": Record({"q": q}, 0, status) for q, status in states.items()}
    choice = choice_of(sweep, records)
    assert [trial.parameters["q"] for trial in worked(choice)] == [2, 4, 3]
    assert choice.total() == 4


def test_optuna_finds_better_points_than_chance():
    asked = worked(choice_of(sweep_of(points=50, std=STD), {}))
    drawn = worked(choice_of(sweep_of("random", points=50, std=STD), {}))
    assert len(asked) == len({trial.name for trial in asked}) == 50
    middle = [sorted(map(loss, trials[20:]))[15] for trials in (asked, drawn)]
    assert middle[0] < 0.5 * middle[1]


def test_a_point_is_tried_with_every_seed_before_optuna_hears_of_it():
    choice = choice_of(sweep_of(points=2, seeds=(3, 4), std=STD), {})
    first, second, third = choice.next(), choice.next(), choice.next()
    assert first.point == second.point != third.point
    assert (first.seed, second.seed, third.seed) == (3, 4, 3)


def test_optuna_goes_on_where_an_interrupted_sweep_was():
    sweep, records = sweep_of(points=40, seeds=(0, 1), std=STD), {}
    before = worked(choice_of(sweep, records), 41, records)  # the 21st point lacks its second seed
    after = worked(choice_of(sweep, records))
    assert (after[0].point, after[0].seed) == (before[-1].point, 1)
    assert len({trial.name for trial in before + after}) == 80
    early, late = (sorted(map(loss, trials)) for trials in (before[:20], after))
    assert late[len(late) // 2] < 0.7 * early[10], "what was found is not forgotten"


def test_optuna_ends_when_every_point_is_known():
    trials = worked(choice_of(sweep_of(points=9, which=KIND), {}))
    assert {trial.parameters["which"] for trial in trials} == {"a", "b", "c"}
    assert len(trials) == 3
