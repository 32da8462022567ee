"""Restarts and further tries: the phases that they make, the ends that a run keeps, and which of them it answers with."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from es_randomized import RunFolder, driver_of, local_evaluator, train
from es_randomized.config.sections import Answer
from es_randomized.config.yaml import build, dump, parse
from es_randomized.drivers.evolution import Evolution
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

TRIES = """
phases:
- {}
- &again {start: weights, after: 0, objective: {kind: expected}, driver: {std: 0.2}}
- *again
- {driver: {std: 0.05}}
"""
BEST = TRIES.replace("- {driver: {std: 0.05}}", "- {start: weights, after: [1, 2], driver: {std: 0.05}}")


def with_phases(phases):
    return parse(
        TEXT.replace("restarts: {kind: ipop, runs: 3}\n", "").replace("generations: 6", "generations: 8") + phases
    )


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
        (TEXT.replace("restarts: {kind: ipop, runs: 3}", "phases: [{}, {start: weights, after: 1}]"),
         "phases.1.after is 1, but only a phase before phase 1 has ended by then"),
        (TEXT.replace("restarts: {kind: ipop, runs: 3}", "phases: [{}, {}, {after: 0}]"),
         "phases.2.after: of phase 0 only the weights are kept; set start: weights"),
        (TEXT.replace("restarts: {kind: ipop, runs: 3}", "phases: [{}, {batch: {seeds: 3}}, {start: weights, after: [0, 1]}]"),
         "phases.2.after: losses of phases .0, 1. compare only where their settings are the same"),
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


@pytest.fixture(scope="module")
def tries(request):
    driver = driver_of(with_phases(getattr(request, "param", TRIES)))
    return driver, list(train(driver, local_evaluator(driver), driver.init()))


def test_every_try_begins_from_the_end_of_the_phase_it_names(tries):
    """By hand: each phase is an evolution of its own, started with these weights."""
    driver, steps = tries
    centres = [np.asarray(driver.centre(step.state)) for step in steps]
    for number in (1, 2):
        part = driver.experiment.by_phase[number]
        own = Evolution.of(part)
        state = own.start(centres[1])
        for generation in (part.first, part.first + 1):
            losses, state = own.step(state, generation, local_evaluator(own))
            np.testing.assert_array_equal(losses, steps[generation].losses)
            np.testing.assert_array_equal(own.centre(state), centres[generation])
    assert not np.allclose(centres[3], centres[5], atol=0.01), "with draws of its own"


def test_ends_that_training_leaves_or_comes_back_to_are_candidates(tries):
    driver, steps = tries
    found = driver.answers(steps[-1].state)
    assert list(found) == ["the centre", "the end of phase 0", "the end of phase 1"]
    for name, generation in zip(found, (7, 1, 3), strict=True):
        np.testing.assert_array_equal(found[name], driver.centre(steps[generation].state))


def test_of_several_tries_training_goes_on_from_the_one_with_the_least_losses():
    """Of seeds 0 to 5 some have the first and some the second."""
    chosen = set()
    for seed in range(6):
        driver = driver_of(replace(with_phases(BEST), seed=seed))
        *steps, last = train(driver, local_evaluator(driver), driver.init())
        best = min((3, 5), key=lambda generation: np.mean(steps[generation].losses))
        own = Evolution.of(driver.experiment.by_phase[3])
        _, state = own.step(own.start(driver.centre(steps[best].state)), 6, local_evaluator(own))
        np.testing.assert_array_equal(own.centre(state), driver.centre(steps[6].state))
        chosen.add(best)
        again = driver.replay(steps[6].state, 7, last.losses)
        np.testing.assert_array_equal(driver.centre(again), driver.centre(last.state))
    assert chosen == {3, 5}


def test_what_counts_are_the_losses_of_the_last_tenth():
    driver = driver_of(parse(TEXT.replace("generations: 6", "generations: 120")))
    state, rng = driver.init(), np.random.default_rng(0)
    losses = rng.random((80, driver.losses_per_generation), np.float32)
    for generation, of_members in enumerate(losses):
        state = driver.replay(state, generation, of_members)
    members = [driver.of_members(losses[number], number).mean() for number in range(80)]
    np.testing.assert_allclose(state.losses, [np.mean(members[36:40]), np.mean(members[76:80])], rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("tries", [TRIES, BEST], indirect=True, ids=["tries", "best"])
def test_tries_survive_interruptions_and_a_replay(tries, tmp_path):
    driver, steps = tries
    folder = RunFolder(tmp_path / "run")
    result = trained_in_parts(folder, driver, 3, 4, 5)
    np.testing.assert_array_equal(result.state.ends, steps[-1].state.ends)
    np.testing.assert_array_equal(result.state.losses, steps[-1].state.losses)
    np.testing.assert_array_equal(driver.centre(result.state), driver.centre(steps[-1].state))
    assert set(verify(folder, driver).values()) == {True}
    shutil.rmtree(folder.snapshots)
    folder.snapshots.mkdir()
    again = driver_of(folder.experiment())
    np.testing.assert_array_equal(again.centre(restore(folder, again)[1]), driver.centre(steps[-1].state))


def test_an_average_has_no_centre_of_another_try(tries):
    averaged = driver_of(replace(tries[0].experiment, answer=Answer(average=0.9)), tries[0])
    assert [averaged.begun_at(generation) for generation in range(8)] == [0, 0, 2, 2, 4, 4, 4, 4]
