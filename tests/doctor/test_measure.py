"""Measurements of small trained runs, against the run's own journal and slow twins."""

import itertools
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import load, local_evaluator
from es_randomized.doctor.closeup import BATCHES, PAIRS, Closeups, around, mean_correlation
from es_randomized.doctor.measure import measure
from es_randomized.doctor.probe import Probe
from es_randomized.doctor.replayed import replayed
from es_randomized.doctor.settling import settling
from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import RunFolderError
from es_randomized.runs.checkpoint import export
from es_randomized.runs.folder import RunFolder
from es_randomized.service import evaluate
from es_randomized.session import TrainingSession
from tests.tools.command import TINY, TINY_GRADIENT, run_here

pytestmark = pytest.mark.long  # whole trainings, for a quarter of a minute and more


def trained(path, config, **changes):
    """A run with a state kept before every generation."""
    driver = driver_of(load(config, changes))
    folder = RunFolder(path)
    folder.create(driver.experiment)
    states = []
    with TrainingSession(folder, driver, local_evaluator(driver)) as session:
        states.append(session.state)
        for _ in session.rows():
            states.append(session.state)
    return SimpleNamespace(folder=folder, driver=driver, states=states)


@pytest.fixture(scope="module")
def evolved(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("doctor") / "evolved", TINY)


@pytest.fixture(scope="module")
def descended(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("doctor") / "descended", TINY_GRADIENT)


def test_a_probe_finds_the_losses_of_the_journal(evolved):
    strategy, probe = evolved.driver.strategy, Probe(evolved.driver.experiment, 12)
    for generation in (0, 7):
        ask = strategy.ask(evolved.states[generation], generation)
        members = np.asarray(strategy.everyone(ask.proposal))
        found = probe.objective(members, generation, generation)
        np.testing.assert_allclose(found, evolved.folder.losses()[generation], rtol=2e-4)


def test_a_probe_of_losses_and_of_their_objective_agree(evolved):
    probe, weights = Probe(evolved.driver.experiment, 12), evolved.driver.centre(evolved.states[-1])
    for batch in (probe.fresh(0), probe.fresh(1)):
        losses = probe.losses(weights, batch, 5)
        assert losses.shape == (4, 2)
        whole = probe.objective(weights[None], batch, 5)[0]
        assert probe.of_losses(losses, batch, 5) == pytest.approx(whole, rel=1e-4)
        assert np.mean(np.mean(losses, axis=1) ** 3) ** (1 / 3) == pytest.approx(whole, rel=1e-4)  # q is 3


def test_more_seeds_meet_the_same_instances(evolved):
    experiment, weights = evolved.driver.experiment, evolved.driver.centre(evolved.states[-1])
    few, many = Probe(experiment, 12), Probe(experiment, 12, 64)
    means = [probe.losses(weights, 99, 0).mean(axis=1) for probe in (few, many)]
    assert many.losses(weights, 99, 0).shape == (4, 64)
    assert np.corrcoef(*means)[0, 1] > 0  # of instances, which differ more than seeds do


def test_replay_gives_the_states_of_training(evolved):
    items = list(replayed(evolved.folder, evolved.driver))
    assert [item.generation for item in items] == list(range(12))
    for item, before, after in zip(items, evolved.states, evolved.states[1:], strict=False):
        np.testing.assert_array_equal(item.before["mean"], before["mean"])
        np.testing.assert_array_equal(item.after["mean"], after["mean"])


def test_a_long_replay_leaves_out_the_middle(evolved):
    evolved.folder.save_snapshot(9, evolved.states[9])
    items = list(replayed(evolved.folder, evolved.driver, seconds=0.0))
    assert [item.generation for item in items] == [9, 10, 11]
    np.testing.assert_array_equal(items[-1].after["mean"], evolved.states[-1]["mean"])


def test_a_close_look_against_one_member_after_the_other(evolved):
    driver, generation = evolved.driver, 8
    strategy, state, probe = driver.strategy, evolved.states[8], Probe(driver.experiment, 12)
    look = Closeups(strategy, probe)(state, generation)
    centre, steps = np.asarray(strategy.centre(state)), []
    for ahead in range(PAIRS // strategy.rows):
        members = np.asarray(strategy.everyone(strategy.ask(state, generation + ahead).proposal))
        steps += list(members[: strategy.rows] - centre)

    def loss(weights, batch):
        return probe.objective(jnp.asarray(weights)[None], probe.fresh(batch), generation)[0]

    def differences(scale, batch):
        return [loss(centre + scale * step, batch) - loss(centre - scale * step, batch) for step in steps]

    by_batch = [differences(1, batch) for batch in range(BATCHES)]
    members = [loss(centre + sign * step, 0) for sign in (1, -1) for step in steps]
    assert look.centre == pytest.approx(loss(centre, 0), rel=1e-5)
    assert look.members == pytest.approx(np.mean(members), rel=1e-5)
    assert look.gap == pytest.approx((np.mean(members) - loss(centre, 0)) / np.std(members), rel=1e-3)
    assert look.distance == pytest.approx(np.sqrt(np.mean(np.square(steps))), rel=1e-5)
    assert look.scales == pytest.approx(np.corrcoef(by_batch[0], differences(0.25, 0))[0, 1], abs=1e-3)
    batches = [np.corrcoef(*pair)[0, 1] for pair in itertools.combinations(by_batch, 2)]
    assert look.batches == pytest.approx(np.mean(batches), abs=1e-3)


def test_pairs_lie_on_both_sides():
    members = around(np.array([1.0, 1.0]), np.array([[1.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(members, [[2, 1], [1, 3], [0, 1], [1, -1]])
    assert mean_correlation([np.ones(5), np.arange(5.0)]) is None


def test_the_last_centres_and_their_average():
    """On a quadratic bowl the average of points around its floor loses nothing."""

    class Bowl(Probe):
        def __init__(self):
            self._fresh = 0

        def objective(self, members, batch, generation):
            return np.sum(np.asarray(members, float) ** 2, axis=1)

    found = settling(
        [np.array([3.0, 0.0]), np.array([-3.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, -1.0])], Bowl(), 0
    )
    assert (found.each, found.spread, found.average) == (5, 4, 0)


def test_everything_is_measured_of_an_evolved_run(evolved):
    found = measure(evolved.folder)
    assert (found.generations, found.directions, found.agreement.generations) == (12, 6, 12)
    assert len(found.closeups) == 4
    assert found.closeups[-1].generation == 11
    assert found.seeds.few > 0
    assert 0 <= found.seeds.share <= 1
    first, last = (np.asarray(evolved.states[which]["mean"]) for which in (0, -1))
    assert found.way.growth == pytest.approx(np.linalg.norm(last) / np.linalg.norm(first))
    assert found.early.level == pytest.approx(evolved.folder.losses()[:4].mean(), rel=1e-5)
    assert len(found.held_out) == 12
    assert not found.missing


def test_of_gradients_the_agreement_is_that_of_two_batches(descended):
    found, driver = measure(descended.folder), descended.driver
    assert found.closeups == ()
    assert found.directions is None
    assert found.agreement.expected is None
    probe, cosines, gradient = Probe(driver.experiment, 12), [], jax.jit(driver.gradient)
    at = {int(number) for number in np.linspace(0, found.generations - 1, min(found.generations, 12)).round()}
    for generation in at:
        slopes = []
        for batch in range(2):
            inputs = driver.fitness.inputs(generation)._replace(generation=np.uint32(probe.fresh(batch)))
            slopes.append(np.asarray(gradient(descended.states[generation].weights, inputs)[1], float))
        one, other = slopes
        cosines.append(one @ other / np.sqrt((one @ one) * (other @ other)))
    assert found.agreement.cosine == pytest.approx(np.mean(cosines), abs=1e-3)


def test_of_a_run_with_phases_the_newest_one_is_looked_at(tmp_path):
    """Also where its centres are averaged, which wraps every state once more."""
    phases = [{"driver": {"std": 0.2}}, {"start": "weights", "batch": {"seeds": 4}}]
    run = trained(tmp_path / "run", TINY, phases=phases, **{"answer.average": 0.9, "plan.tile": "auto"})
    found, part = measure(run.folder), run.driver.at(8)
    assert (found.phase, found.generations, found.experiment.batch.seeds) == (1, 6, 4)
    assert [look.generation for look in found.closeups] == [6, 8, 9, 11]
    assert len(found.held_out) == 6
    before = run.driver.own_state(run.states[8], 8)
    members = np.asarray(part.strategy.everyone(part.strategy.ask(before, 8).proposal))
    losses = Probe(part.experiment, 12).objective(members, 8, 8)
    np.testing.assert_allclose(losses, run.folder.losses()[8], rtol=2e-4)
    assert found.late.level == pytest.approx(run.folder.losses()[-2:].mean(), rel=1e-5)


def test_a_checkpoint_is_looked_at_as_far_as_it_goes(evolved, tmp_path):
    evaluate(evolved.folder)
    export(evolved.folder, tmp_path / "kept")
    found, of_run = measure(RunFolder(tmp_path / "kept")), measure(evolved.folder)
    assert found.agreement is None
    assert found.missing
    assert found.held_out == of_run.held_out
    assert found.seeds == of_run.seeds


def test_a_run_that_has_not_begun_is_refused(tmp_path):
    folder, driver = RunFolder(tmp_path), driver_of(load(TINY))
    folder.create(driver.experiment)
    folder.open_journal(driver.losses_per_generation).close()
    with pytest.raises(RunFolderError, match="no generation yet"):
        measure(folder)


def test_the_command(evolved, tmp_path):
    before = sorted(path for path in evolved.folder.path.rglob("*"))
    result = run_here("doctor", evolved.folder.path, "--json", tmp_path / "found.json")
    assert result.returncode == 0, result.stderr
    assert "12 of 12 generations" in result.stdout
    tree = json.loads((tmp_path / "found.json").read_text())
    assert tree["measured"]["closeups"][-1]["generation"] == 11
    for finding in tree["findings"]:
        assert finding["name"] in result.stdout
        assert finding["setting"] in result.stdout
    assert sorted(path for path in evolved.folder.path.rglob("*")) == before
