"""Training ends at its target or on a plateau, where a run without a break would, and says so."""

from dataclasses import replace

import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, RunFolder, load
from es_randomized.config.sections import Budget, Plateau, Target
from es_randomized.config.yaml import dump, write_yaml
from es_randomized.errors import ConfigError
from es_randomized.evaluation.goal import ending
from es_randomized.runs.metrics import read_metrics
from es_randomized.session import TrainingSession, run_session
from es_randomized.tasks.measure import SUCCESS, Measure
from es_randomized.trials.attempt import Assignment, attempt
from es_randomized.trials.shared_programs import SharedPrograms
from tests.tools.command import TINY, run_here
from tests.tools.tiny import tiny

STEPS = Measure("total steps", "total steps")


def checks(*values):
    return [
        {"held_out_average": value, "held_out_p95": value + 1, "held_out_worst": value + 2}
        for value in map(float, values)
    ]


@pytest.mark.parametrize(
    ("target", "measure", "values", "reached"),
    [
        (Target(average=3), STEPS, (5, 3), True),
        (Target(average=3), STEPS, (3, 5), False),
        (Target(average=3), STEPS, (), False),
        (Target(average=3, worst=4), STEPS, (3,), False),
        (Target(average=3, worst=5), STEPS, (3,), True),
        (Target(average=3, patience=2), STEPS, (3,), False),
        (Target(average=3, patience=2), STEPS, (2, 4, 3), False),
        (Target(average=3, patience=2), STEPS, (4, 2, 3), True),
        (Target(average=0.7), SUCCESS, (0.6,), False),
        (Target(average=0.7), SUCCESS, (0.7,), True),
        (Target(average=3), STEPS, (float("nan"),), False),
    ],
)
def test_a_target_is_reached_in_the_direction_of_the_measure(target, measure, values, reached):
    assert ending(Budget(until=target), measure, checks(*values)) == ("target reached" if reached else None)


@pytest.mark.parametrize("measure", [STEPS, replace(STEPS, higher_is_better=True)])
def test_a_plateau_is_where_waiting_has_brought_nothing(measure):
    rng, count = np.random.default_rng(0), 4
    losses = np.round(100 / np.arange(1, 60) + rng.normal(size=59), 1)
    values = measure.as_loss(losses)
    budget = Budget(plateau=Plateau(checks=count, level="average"))
    for end in range(1, 60):
        best = int(np.argmin(losses[:end]))  # the first of equal ones
        waited = end - 1 - best
        assert ending(budget, measure, checks(*values[:end])) == ("plateau" if waited >= count else None)


def driver_for(**budget):
    experiment = tiny().experiment
    return Evolution.of(replace(experiment, budget=replace(experiment.budget, **budget)), tiny())


def session(folder, driver):
    return run_session(folder, driver, LocalEvaluator(driver), lambda _: None)


def killed_at(generation, folder, driver):
    """Train until its journal has the generation; nothing else is saved."""
    with TrainingSession(folder, driver, LocalEvaluator(driver)) as training:
        for row in training.rows():
            if row["generation"] == generation:
                raise MemoryError


def made(folder, driver):
    folder.create(driver.experiment)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All metrics of a run without a target, and those of its losses."""
    folder = made(RunFolder(tmp_path_factory.mktemp("whole") / "run"), tiny())
    assert session(folder, tiny()).reason == "finished"
    return read_metrics(folder.metrics).to_pylist(), folder.losses()


@pytest.mark.long
def test_a_run_that_was_killed_ends_where_it_would_have_ended(whole, tmp_path):
    rows, losses = whole
    # As good as the second of three checks in a row that end at generation 8, or better.
    wanted = min(rows[generation]["held_out_average"] for generation in (6, 7, 8))
    row = [row["held_out_average"] >= wanted for row in rows]
    first = next(g for g in range(2, 12) if all(row[g - 2 : g + 1]))
    driver = driver_for(until=Target(average=wanted, patience=3))
    unbroken = made(RunFolder(tmp_path / "unbroken"), driver)
    assert session(unbroken, driver)[2:5:2] == (first + 1, "target reached")
    killed = made(RunFolder(tmp_path / "killed"), driver)
    with pytest.raises(MemoryError):
        killed_at(first - 1, killed, driver)
    assert len(read_metrics(killed.metrics)) == 0, "nothing was saved but the journal"
    assert session(killed, driver)[2:5:2] == (first + 1, "target reached")
    np.testing.assert_array_equal(killed.losses(), losses[: first + 1])
    held_out = [
        [row["held_out_worst"] for row in read_metrics(folder.metrics).to_pylist()] for folder in (killed, unbroken)
    ]
    assert held_out[0] == held_out[1] == [row["held_out_worst"] for row in rows[: first + 1]]
    again = session(killed, driver)
    assert (again.generation, again.reason) == (first + 1, "target reached"), "it trains no further"
    assert session(killed, driver_for()).reason == "finished", "unless its budget is changed"
    assert len(killed.losses()) == 12


def test_a_trial_ends_with_its_target(whole, tmp_path):
    rows, _ = whole
    driver = driver_for(until=Target(average=rows[0]["held_out_average"]))
    folder = made(RunFolder(tmp_path / "trial"), driver)
    text = write_yaml(dump(driver.experiment))
    *_, last = attempt(Assignment("trial", str(folder.path), text, (), "average"), SharedPrograms())
    assert (last.generation, last.done) == (1, True)
    assert last.score == pytest.approx(1 - rows[0]["held_out_average"])


def test_the_command_says_how_it_ended(tmp_path):
    arguments = ("train", TINY, "--local", "--no-evaluate", "--run")
    good = run_here(*arguments, tmp_path / "good", "--budget.until", "{average: 0.0}")
    assert good.returncode == 0, good.stderr
    assert "target reached after 1 generations" in good.stdout
    bad = run_here(*arguments, tmp_path / "bad", "--budget.until", "{worst: 1}", "--budget.generations", "2")
    assert bad.returncode == 3
    assert "finished after 2 generations\nthe target was not reached: held out, worst 1" in bad.stdout


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ({"p95": 73.5}, "budget.until.p95 is 73.5, but success is between 0 and 1; shares are given as fractions"),
        ({"patience": 2}, "a target is a number for average, p95 or worst"),
        ({"best": 0.5}, "budget.until.best: unknown key"),
    ],
)
def test_an_impossible_target_is_refused(until, message):
    with pytest.raises(ConfigError, match=message):
        load(TINY, {"budget.until": until})
