"""Losses in two halves: the same members' losses beside those on both halves, through evaluation, journal and replay."""

import jax
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, RunFolder, load
from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.objectives.expected import Expected
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.split_batch import SplitBatch
from es_randomized.objectives.worst_case import WorstCase
from es_randomized.runs.branch import verify
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.restore import restore
from es_randomized.session import run_session
from tests.tools.command import TINY

MEMBERS, GENERATIONS = 8, 3
OPTIMIZER = {"kind": "sgd", "learning_rate": 0.05}  # optax's adam is not written for strict promotion
SMALL = {
    "model.blocks": 1,
    "driver.kind": "Past_ES",
    "driver.population": MEMBERS,
    "driver.optimizer": OPTIMIZER,
    "budget.generations": GENERATIONS,
    "plan.chunk": MEMBERS,  # one program on one device
}


def evolution_of(**more):
    text = TINY.read_text().replace("{kind: q_norm, q: 3}", "{kind: expected}")
    return Evolution.of(parse(text, SMALL | {name.replace("__", "."): value for name, value in more.items()}))


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    """A whole run, its evolution and the losses of its generation 0."""
    evolution, folder = evolution_of(driver__past="noise_aware"), RunFolder(tmp_path_factory.mktemp("halves") / "run")
    folder.create(evolution.experiment)
    run_session(folder, evolution, LocalEvaluator(evolution), lambda _: None)
    return evolution, folder


@pytest.mark.parametrize(
    ("objective", "exact"), [(Expected(), np.mean), (WorstCase(), lambda losses: losses.mean(axis=1).max())]
)
def test_an_objective_has_three_views(objective, exact):
    losses = np.random.default_rng(0).uniform(0, 3, (6, 4)).astype(np.float32)
    for by, halves in (("instances", (losses[:3], losses[3:])), ("seeds", (losses[:, :2], losses[:, 2:]))):
        found = jax.jit(SplitBatch(objective, by).__call__)(losses)
        np.testing.assert_allclose(found, [exact(each) for each in (losses, *halves)], rtol=1e-5)


def test_the_losses_of_members_are_those_without_halves_and_the_mean_of_both(halved):
    evolution, folder = halved
    losses = folder.losses()[0]
    assert losses.shape == (3 * MEMBERS,)
    whole, first, second = losses.reshape(3, MEMBERS)
    plain = evolution_of()
    alone = LocalEvaluator(plain).evaluate(plain.strategy.ask(plain.init(), 0))
    np.testing.assert_allclose(whole, alone, rtol=1e-5)
    np.testing.assert_allclose((first + second) / 2, whole, rtol=1e-5)
    assert (np.abs(first - second) > 1e-6).all()
    np.testing.assert_array_equal(evolution.of_members(losses, 0), whole)
    assert read_metrics(folder.metrics)["loss_mean"][0].as_py() == pytest.approx(whole.mean())


def test_the_journal_leads_to_the_same_bits(halved):
    evolution, folder = halved
    assert verify(folder, evolution)[GENERATIONS]
    state = evolution.init()
    for generation in range(GENERATIONS):
        found, state = evolution.step(state, generation, LocalEvaluator(evolution))
        np.testing.assert_array_equal(found, folder.losses()[generation])
    jax.tree.map(np.testing.assert_array_equal, state, restore(folder, evolution)[1])


def test_bytes_from_workers_are_put_into_the_same_order(halved):
    evolution, folder = halved
    ask, number = evolution.strategy.ask(evolution.init(), 0), evolution.inputs(0)
    sample = jax.device_put(ask.proposal, jax.local_devices()[0])
    sent = [np.asarray(evolution.chunk_losses(sample, rows, number)).tobytes() for rows in evolution.chunks]
    received = evolution.in_id_order([evolution.chunk_of(data) for data in sent])
    np.testing.assert_array_equal(received, folder.losses()[0])


def test_a_broken_member_is_ranked_worst_in_every_view(halved):
    evolution, folder = halved
    losses = folder.losses()[0].copy()
    ask = evolution.strategy.ask(evolution.init(), 0)
    losses[[2, 2 + MEMBERS]] = np.nan
    expected = losses.reshape(3, MEMBERS).copy()
    for view in expected[:2]:
        finite = np.delete(view, 2)
        view[2] = finite.max() + np.float32(finite.max() - finite.min())
    jax.tree.map(
        np.testing.assert_array_equal,
        evolution.tell(ask, losses),
        evolution.strategy.tell(ask, expected),
    )


def test_instances_are_halved_where_they_are_drawn_and_seeds_where_not():
    assert evolution_of(driver__past="noise_aware").fitness.objective == SplitBatch(Expected(), "instances")
    scheduled = load(TINY, SMALL | {"driver.past": "noise_aware", "batch.instances": "all"})
    assert Evolution.of(scheduled).fitness.objective == SplitBatch(QNorm(q=3), "seeds")
    with pytest.raises(
        ConfigError, match=r"batch.seeds must be even, or batch.instances an even number of bundles of 1"
    ):
        evolution_of(driver__past="noise_aware", batch__instances=3, batch__seeds=1)
