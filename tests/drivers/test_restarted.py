"""Restarts: the phases that they make, the ends that a run keeps, and which of them it answers with."""

from dataclasses import replace

import numpy as np
import pytest

from es_randomized import RunFolder, driver_of, local_evaluator, train
from es_randomized.config.sections import Answer
from es_randomized.config.yaml import build, dump, parse
from es_randomized.errors import ConfigError
from es_randomized.evaluation.answer import answer_of
from es_randomized.evaluation.held_out import HeldOut
from es_randomized.runs.branch import verify
from es_randomized.runs.restore import restore
from tests.tools.interrupted import trained_in_parts

TEXT = """
task: {kind: cycle_colouring, n: 5}
model: {width: 4, hidden: 4, blocks: 1}
batch: {instances: 4, seeds: 2}
driver: {population: 4, std: {start: 0.1, end: 0.05}, optimizer: {learning_rate: 0.05}}
budget: {generations: 6}
answer: {by: average}
restarts: {kind: ipop, runs: 3}
"""


@pytest.fixture(scope="module")
def driver():
    return driver_of(parse(TEXT))


@pytest.fixture(scope="module")
def steps(driver):
    return list(train(driver, local_evaluator(driver), driver.init()))


@pytest.mark.parametrize(
    ("restarts", "populations", "generations"),
    [
        ("{kind: ipop, runs: 4}", [4, 8, 16, 32], [10, 10, 10, 10]),
        ("{kind: bipop, runs: 6}", [4, 8, 4, 16, 4, 32], [10, 10, 10, 10, 20, 10]),
    ],
)
def test_restarts_are_phases_with_growing_populations(restarts, populations, generations):
    text = TEXT.replace("{kind: ipop, runs: 3}", restarts).replace("generations: 6", f"generations: {sum(generations)}")
    experiment = parse(text)
    parts = experiment.by_phase
    assert [part.driver.population for part in parts] == populations
    assert [part.budget.generations for part in parts] == generations
    assert [part.start for part in parts] == ["state"] + ["anew"] * (len(parts) - 1)
    for number in range(2, len(parts), 2) if "bipop" in restarts else ():
        cost = [populations[n] * generations[n] for n in (number - 1, number)]
        assert cost[1] * 2 == cost[0]
    assert build(dump(experiment)) == experiment


def test_a_run_folder_keeps_the_phases_with_their_plans(driver):
    resolved = driver.experiment
    assert all(phase.plan.chunk != "auto" for phase in resolved.phases)
    assert build(dump(resolved)) == resolved


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + "phases: [{}, {start: anew}]\n", "phases: a run has phases or restarts, .*; leave out one of them"),
        (TEXT.replace("{population: 4, std: {start: 0.1, end: 0.05}, optimizer: {learning_rate: 0.05}}", "{kind: gradient}"),
         "restarts: gradient has no population that could grow"),
        (TEXT.replace("generations: 6", "generations: 2"), "3 phases do not fit into 2 generations"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_every_end_is_a_candidate_and_the_best_on_held_out_draws_the_answer(driver, steps):
    centres = [np.asarray(driver.centre(step.state)) for step in steps]
    assert not np.allclose(centres[2], centres[1], atol=0.3), "the second run begins elsewhere"
    names = ["the end of phase 0", "the end of phase 1"]
    assert [list(driver.answers(step.state)) for step in steps] == [
        ["the centre"], ["the centre"], ["the centre", names[0]], ["the centre", names[0]], ["the centre", *names],
        ["the centre", *names],
    ]  # fmt: skip
    candidates = driver.answers(steps[-1].state)
    for name, generation in (("the centre", 5), (names[0], 1), (names[1], 3)):
        np.testing.assert_array_equal(candidates[name], centres[generation])
    held_out = HeldOut(driver.experiment)
    values = {
        generation: held_out(driver.centre(steps[generation].state))["held_out_average"] for generation in (5, 1, 3)
    }
    answer = answer_of(driver, steps[-1].state)
    np.testing.assert_array_equal(answer.weights, centres[max(values, key=values.get)])
    assert answer.choice["held_out"] == dict(zip(candidates, values.values(), strict=True))


@pytest.mark.long
def test_ends_survive_interruptions_and_a_replay(driver, steps, tmp_path):
    folder = RunFolder(tmp_path / "run")
    result = trained_in_parts(folder, driver, 1, 3)
    np.testing.assert_array_equal(result.state.ends, steps[-1].state.ends)
    np.testing.assert_array_equal(driver.centre(result.state), driver.centre(steps[-1].state))
    assert set(verify(folder, driver).values()) == {True}
    again = driver_of(folder.experiment())
    np.testing.assert_array_equal(restore(folder, again)[1].ends, steps[-1].state.ends)


def test_an_average_has_no_centre_of_the_run_before(driver, steps):
    averaged = driver_of(replace(driver.experiment, answer=Answer(average=0.9)), driver)
    *_, last = train(averaged, local_evaluator(averaged), averaged.init())
    found = averaged.answers(last.state)
    centres = [np.asarray(driver.centre(step.state)) for step in steps[4:]]
    np.testing.assert_allclose(found["the average of the last centres"], np.mean(centres, axis=0), rtol=1e-6, atol=1e-7)
    assert len(found) == 4
