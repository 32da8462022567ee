"""Every experiment that ships builds and trains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_randomized import driver_of, load, local_evaluator, train
from es_randomized.config.sections import Plan
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.trials.sweep import load_sweep
from es_randomized.trials.sweep_trials import trial_of

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent.name not in ("paper", "sweeps"))  # no figures
SWEEPS = sorted((FOLDER / "sweeps").glob("*.yaml"))
MEMBERS = 8  # of each generation: enough to see that its task, model, batch, objective and strategy go together


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_two_generations_of_every_config(config):
    driver = driver_of(small(load(config, {"budget.generations": 2})))
    steps = list(train(driver, local_evaluator(driver), driver.init()))
    assert len(steps) == 2
    assert all(np.isfinite(step.losses).all() for step in steps)
    assert (np.asarray(driver.centre(steps[-1].state)) != np.asarray(driver.centre(driver.init()))).any()


@pytest.mark.parametrize("config", SWEEPS, ids=lambda path: path.stem)
def test_a_driver_for_trials_of_every_sweep(config):
    """What they train is trained above; compiling every variant as well would take a minute."""
    sweep = load_sweep(config)
    for share in (0.0, 0.6, 0.99):
        point = {name: parameter.at(share) for name, parameter in sweep.search.parameters.items()}
        trained = small(trial_of(sweep, point, seed=0).experiment)
        experiment = replace(trained, plan=Plan(chunk=MEMBERS, tile=1))  # compiles nothing
        assert driver_of(experiment).losses_per_generation in (1, MEMBERS)


def small(experiment):
    """The experiment with few members and one program, on one device."""
    if not isinstance(experiment.driver, EvolutionSettings):
        return experiment
    return replace(experiment, driver=replace(experiment.driver, population=MEMBERS), plan=Plan(chunk=MEMBERS))
