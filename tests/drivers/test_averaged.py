"""An average of the last centres: what it is, that training does not notice it, and when it is the answer."""

import json
from dataclasses import replace

import numpy as np
import pytest

from es_randomized import RunFolder, driver_of, load, local_evaluator, train
from es_randomized.config.sections import Answer
from es_randomized.drivers.averaged import AveragedState
from es_randomized.evaluation.answer import answer_of
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.evaluation.of_runs import evaluate_runs, newest, write_score
from es_randomized.runs.branch import verify
from es_randomized.runs.checkpoint import export
from es_randomized.runs.checkpoint import weights_of as kept_weights
from es_randomized.runs.restore import restore
from tests.tools.command import TINY, TINY_GRADIENT
from tests.tools.interrupted import trained_in_parts
from tests.tools.tiny import tiny

KEEP = 0.7
AVERAGE = "the average of the last centres"


def with_average(plain):
    return driver_of(replace(plain.experiment, answer=Answer(average=KEEP)), plain)


@pytest.mark.parametrize("config", [TINY, TINY_GRADIENT])
def test_it_is_the_weighted_mean_of_the_centres_of_a_training_that_does_not_notice(config):
    plain = tiny() if config == TINY else driver_of(load(config))
    averaged = with_average(plain)
    steps = list(train(averaged, local_evaluator(averaged), averaged.init()))
    centres, weights = [], np.zeros(0)
    for step, without in zip(steps, train(plain, local_evaluator(plain), plain.init()), strict=True):
        np.testing.assert_array_equal(step.losses, without.losses)
        centres.append(np.asarray(plain.centre(without.state), float))
        count = len(centres)
        plain_mean = count <= 3  # 1 / 3 is more than 1 - KEEP
        weights = np.full(count, 1 / count) if plain_mean else np.append(KEEP * weights, 1 - KEEP)
        found = averaged.answers(step.state)
        np.testing.assert_array_equal(found["the centre"], plain.centre(without.state))
        np.testing.assert_allclose(found[AVERAGE], weights @ np.array(centres), rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_its_bits_survive_interruptions_and_a_replay(tmp_path):
    driver = with_average(tiny())
    *_, last = train(driver, local_evaluator(driver), driver.init())
    folder = RunFolder(tmp_path / "run")
    assert trained_in_parts(folder, driver, 4, 8).reason == "finished"
    _, restored = restore(folder, driver)
    np.testing.assert_array_equal(restored.average, last.state.average)
    assert set(verify(folder, driver).values()) == {True}


def made_states(driver):
    """A state whose average is the better one, and one whose centre is."""
    trained = None
    for step in train(driver, local_evaluator(driver), driver.init()):
        trained = step.state
    fresh, learned = driver.init(), np.asarray(driver.centre(trained))
    held_out = HeldOut(driver.experiment)
    values = [held_out(driver.centre(state))["held_out_average"] for state in (fresh, trained)]
    assert values[0] < values[1], "the tiny run learns something"
    return (
        AveragedState(fresh.inner, learned),
        AveragedState(trained.inner, np.asarray(driver.centre(fresh))),
        dict(zip(("fresh", "learned"), values, strict=True)),
    )


@pytest.mark.long
def test_the_better_candidate_on_held_out_draws_is_the_answer_everywhere(tmp_path):
    experiment = replace(tiny().experiment, answer=Answer(average=KEEP, by="average"))
    driver = driver_of(experiment, tiny())
    by_average, by_centre, values = made_states(driver)
    assert answer_of(driver, by_centre).what == "the centre"
    answer = answer_of(driver, by_average)
    assert answer.what == AVERAGE
    folder = RunFolder(tmp_path / "run")
    folder.create(driver.experiment)
    folder.open_journal(driver.losses_per_generation).close()
    folder.save_snapshot(0, by_average)
    trained = newest(folder, driver)
    assert trained.what == f"{AVERAGE} after 0 generations"
    np.testing.assert_array_equal(trained.weights, by_average.average)
    write_score(folder, experiment, evaluate_runs([trained]), trained.choice)
    assert json.loads(folder.evaluation_file.read_text())["answer"] == {
        "kept": AVERAGE,
        "by": "average",
        "held_out": {"the centre": values["fresh"], AVERAGE: values["learned"]},
    }
    export(folder, tmp_path / "kept")
    np.testing.assert_array_equal(kept_weights(RunFolder(tmp_path / "kept")), by_average.average)
