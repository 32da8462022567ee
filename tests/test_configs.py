"""Every experiment that ships builds and trains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_randomized import driver_of, load, local_evaluator, train
from es_randomized.config.sections import Plan
from es_randomized.config.yaml import dump
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import trial_of
from tests.test_performance import TASKS as SMALL_RUNS

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(
    str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml") if path.parent.name not in ("paper", "sweeps")
)
TRAINED_ELSEWHERE = SMALL_RUNS  # with fewer cases, by tests/test_performance.py
ONLY_LARGER = {
    "treasure_hunt/five.yaml": "treasure_hunt/three.yaml",
    "treasure_hunt/five_gradient.yaml": "treasure_hunt/four_gradient.yaml",
    "treasure_hunt/five_specialists.yaml": "treasure_hunt/four_specialists.yaml",
}
LONG = (  # ten seconds and more each, or of a task that tests/test_every_task.py trains
    "colouring/phases.yaml",
    "graph_colouring/grid.yaml",
    "mastermind/four.yaml",
    "mastermind/four_spread.yaml",
    "paging/two.yaml",
    "paging/three.yaml",
    "paging/four.yaml",
    "recall/eight.yaml",
    "recall/twenty.yaml",
    "recall/twenty_evolution.yaml",
    "treasure_hunt/five_both.yaml",
    "treasure_hunt/five_evolution.yaml",
    "treasure_hunt/four.yaml",
    "treasure_hunt/four_gradient.yaml",
    "treasure_hunt/four_specialists.yaml",
    "treasure_hunt/three_evolution.yaml",
)
SWEEPS = sorted((FOLDER / "sweeps").glob("*.yaml"))
MEMBERS = 8  # of each generation: enough to see that its task, model, batch, objective and strategy go together


def each(config):
    return pytest.param(config, marks=pytest.mark.long if config in LONG else [])


@pytest.mark.parametrize("config", [each(name) for name in CONFIGS if name not in {*TRAINED_ELSEWHERE, *ONLY_LARGER}])
def test_some_generations_of_every_config(config):
    phases = len(load(FOLDER / config).phases)
    generations, shares = max(2, phases), {f"phases.{number}.share": 1 for number in range(phases)}
    driver = driver_of(small(load(FOLDER / config, {"budget.generations": generations} | shares)))
    steps = list(train(driver, local_evaluator(driver), driver.init()))
    assert len(steps) == generations
    assert all(np.isfinite(driver.of_members(step.losses, step.generation)).all() for step in steps)
    assert (np.asarray(driver.centre(steps[-1].state)) != np.asarray(driver.centre(driver.init()))).any()


@pytest.mark.parametrize("config", ONLY_LARGER)
def test_larger_hunts_differ_in_numbers_only(config):
    larger, other = (dump(load(FOLDER / name)) | {"answer": None} for name in (config, ONLY_LARGER[config]))
    assert words(larger) == words(other)  # what a run answers with is no part of how it trains
    assert driver_of(only_built(small(load(FOLDER / config)))).losses_per_generation in (1, MEMBERS)


@pytest.mark.parametrize("config", SWEEPS, ids=lambda path: path.stem)
def test_a_driver_for_trials_of_every_sweep(config):
    """What they train is trained above; compiling every variant as well would take a minute."""
    sweep = load_sweep(config)
    for share in (0.0, 0.6, 0.99):
        point = {name: parameter.at(share) for name, parameter in sweep.search.parameters.items()}
        assert driver_of(only_built(small(trial_of(sweep, point, seed=0).experiment))).losses_per_generation in (
            1,
            MEMBERS,
        )


def small(experiment):
    """The experiment with few members and one program, on one device."""
    if not isinstance(experiment.driver, EvolutionSettings):
        return experiment
    phases = [replace(phase, driver=few(phase.driver)) if phase.driver else phase for phase in experiment.phases]
    return replace(experiment, driver=few(experiment.driver), phases=phases, plan=Plan(chunk=MEMBERS))


def few(driver):
    """The section `driver:` with few members."""
    return replace(driver, population=MEMBERS)


def only_built(experiment):
    """The experiment with a plan that needs no program to be compiled."""
    return replace(experiment, plan=Plan(chunk=MEMBERS, tile=1))


def words(settings):
    """Settings without their numbers."""
    if isinstance(settings, dict):
        return {name: words(value) for name, value in settings.items()}
    return None if isinstance(settings, int | float | list) and not isinstance(settings, bool) else settings
