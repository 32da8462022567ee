"""Every experiment that ships builds and trains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_randomized import driver_of, load, local_evaluator, train
from es_randomized.plan import Plan
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.sweeps.sweep import load_sweep

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent.name not in ("paper", "sweeps"))  # no figures
SWEEPS = sorted((FOLDER / "sweeps").glob("*.yaml"))
MEMBERS = 8  # of each generation: enough to see that its task, model, batch, objective and strategy go together


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_two_generations_of_every_config(config):
    two_generations(load(config, {"budget.generations": 2}))


@pytest.mark.parametrize("config", SWEEPS, ids=lambda path: path.stem)
def test_two_generations_of_a_trial_of_every_sweep(config):
    sweep = load_sweep(config)
    point = {name: parameter.at(0.6) for name, parameter in sweep.search.parameters.items()}
    few = replace(sweep, set=sweep.set | {"budget.generations": 2})
    two_generations(few.experiment(point, seed=0))


def two_generations(experiment):
    if isinstance(experiment.driver, EvolutionSettings):
        few = replace(experiment.driver, population=MEMBERS)
        experiment = replace(experiment, driver=few, plan=Plan(chunk=MEMBERS))  # one program, on one device
    driver = driver_of(experiment)
    steps = list(train(driver, local_evaluator(driver), driver.init()))
    assert len(steps) == 2
    assert all(np.isfinite(step.losses).all() for step in steps)
    assert (np.asarray(driver.centre(steps[-1].state)) != np.asarray(driver.centre(driver.init()))).any()
