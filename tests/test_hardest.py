"""Hard instances in a batch: chosen as a loop over the pool chooses them, the same wherever members are evaluated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, dump, load, rng, train
from es_randomized.config.sections import Batch
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.gradient import Gradient
from es_randomized.errors import ConfigError, MemoryBudgetError
from es_randomized.fitness import Fitness, GenerationInputs, unraveller
from es_randomized.runs.folder import RunFolder
from es_randomized.session import run_session
from es_randomized.tasks.associative_recall import AssociativeRecall
from tests.tools.command import TINY

TINY_GRADIENT = TINY.with_name("tiny_gradient.yaml")
HARD = {"batch.hardest_of": 24}


def losses_of_pool(fitness: Fitness, weights: np.ndarray, generation: int, key: Any = None) -> np.ndarray:
    """Mean over seeds of every instance of the pool, one rollout after the other: [bundle, instance of it]."""
    task, batch, seed = fitness.task, fitness.batch, fitness.seed
    assert batch.hardest_of
    policy = fitness.model.policy(unraveller(fitness.model, task)(weights), task.interface)
    bundles = task.sample(rng.address(seed, rng.Purpose.POOL, generation), batch.hardest_of // task.bundle)
    key = rng.address(seed, rng.Purpose.POOL_SEEDS, generation) if key is None else key
    seeds = task.seeds(key, batch.seeds)

    def mean(bundle: int) -> np.ndarray:
        cases = [task.observe(bundles[..., bundle, None], seeds[..., each, None]) for each in range(batch.seeds)]
        return np.mean([np.asarray(task.rollout(policy, case).loss)[:, 0] for case in cases], axis=0)

    return np.stack([mean(bundle) for bundle in range(bundles.shape[-1])])


def hardest(driver: Evolution, generation: int) -> list[int]:
    """Places in the pool of the bundles whose worst instance is worst."""
    state = driver.init()
    losses = losses_of_pool(driver.fitness, np.asarray(driver.centre(state)), generation)
    return np.argsort(-losses.max(axis=1))[: driver.experiment.batch.random_bundles(driver.fitness.task)].tolist()


def test_half_of_a_batch_are_the_hardest_of_the_pool() -> None:
    driver = Evolution.of(load(TINY, HARD))
    told = driver.told(driver.strategy.ask(driver.init(), 5))
    assert told.hardest.tolist() == hardest(driver, 5)
    task, seed = driver.fitness.task, driver.experiment.seed
    pool = np.asarray(task.sample(rng.address(seed, rng.Purpose.POOL, 5), 24))
    drawn = np.asarray(task.sample(rng.address(seed, rng.Purpose.INSTANCES, 5), 2))
    seen = np.asarray(jax.jit(lambda told: driver.fitness.at(told).bundles(told.generation))(told))
    np.testing.assert_array_equal(seen[:, 0::2], drawn)
    np.testing.assert_array_equal(seen[:, 1::2], pool[:, told.hardest])


def test_a_bundle_is_as_hard_as_its_worst_instance() -> None:
    task = {"task": {"kind": "associative_recall", "n": 4, "bits": 1, "noise_width": 2}, "batch.instances": 16}
    driver = Evolution.of(load(TINY, task | {"batch.hardest_of": 64, "model.attention": "linear"}))
    assert isinstance(driver.fitness.task, AssociativeRecall)
    told = driver.told(driver.strategy.ask(driver.init(), 2))
    assert told.hardest.tolist() == hardest(driver, 2)
    assert len(told.hardest) == 2


def test_gradient_descent_meets_the_hardest_of_its_weights() -> None:
    driver = Gradient.of(load(TINY_GRADIENT, HARD))
    weights, inputs = driver.centre(driver.init()), driver.fitness.inputs(4)
    chosen = inputs._replace(hardest=np.asarray(jax.jit(driver.fitness.hardest)(weights, inputs)))

    def of_batch(inputs: GenerationInputs) -> Any:
        now = driver.fitness.at(inputs)
        return now.objective(now.losses(weights, inputs.generation))

    loss, _ = jax.jit(driver.gradient)(weights, inputs)
    np.testing.assert_allclose(loss, jax.jit(of_batch)(chosen), rtol=1e-5)
    assert set(chosen.hardest.tolist()) != {0, 1}  # of what passes for the hardest before anyone has looked


def test_workers_are_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    evolution = Evolution.of(load(TINY, HARD))
    ask = evolution.strategy.ask(evolution.init(), 3)
    worker = Worker(dump(evolution.experiment), None)
    worker.ready()
    message, chunks = evolution.message(ask), list(range(len(evolution.chunks)))
    found = [evolution.chunk_of(data) for data in worker.evaluate(3, message, chunks).results]
    expected = LocalEvaluator(evolution).evaluate(ask)
    np.testing.assert_array_equal(evolution.in_id_order(found), expected)
    easy = replace(evolution.experiment, batch=replace(evolution.experiment.batch, hardest_of=None))
    assert expected.mean() > LocalEvaluator(Evolution.of(easy)).evaluate(ask).mean()


def test_a_run_that_stops_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    driver = Evolution.of(load(TINY, HARD))
    *_, whole = train(driver, LocalEvaluator(driver), driver.init())
    folder = RunFolder(tmp_path / "run")
    folder.create(driver.experiment)

    def stop_at_five(row: dict[str, Any]) -> None:
        if row["generation"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_session(folder, driver, LocalEvaluator(driver), stop_at_five)
    result = run_session(folder, driver, LocalEvaluator(driver), lambda _: None)
    assert driver.centre(result.state).tobytes() == driver.centre(whole.state).tobytes()


def test_rollouts_count_the_pool() -> None:
    plain, hard = (Evolution.of(load(TINY, overrides)).cost() for overrides in ({}, HARD))
    assert hard.rollouts - plain.rollouts == 24 * 2
    plain, hard = (Gradient.of(load(TINY_GRADIENT, overrides)).cost() for overrides in ({}, HARD))
    assert hard.rollouts - plain.rollouts == 24 * 2


def test_the_pool_is_no_part_of_what_a_chunk_costs() -> None:
    """Or bounds of a member's speed, and the chunks that a plan makes, would depend on it."""
    plain, hard = (Evolution.of(load(TINY, overrides | {"plan": {}})) for overrides in ({}, HARD))
    assert hard.experiment.plan.chunk == plain.experiment.plan.chunk
    chunk, *_, hardest = hard.programs()
    assert chunk.flops == plain.programs()[0].flops > 0
    assert chunk.calls * chunk.flops + hardest.calls * hardest.flops == hard.cost().flops


def test_a_pool_that_does_not_fit_is_refused() -> None:
    large = {"batch": {"instances": 4, "seeds": 64, "hardest_of": 40_000}, "plan": {"memory_mib": 20}}
    with pytest.raises(
        MemoryBudgetError, match=r"the hardest of 40000 instances needs .* use a smaller batch\.hardest_of"
    ):
        Evolution.of(load(TINY, large))


def test_the_pool_of_a_run_with_one_seed_meets_that_seed() -> None:
    driver = Evolution.of(load(TINY, HARD | {"batch.seeds": 1, "batch.fixed_seed": True}))
    told = driver.told(driver.strategy.ask(driver.init(), 5))
    losses = losses_of_pool(
        driver.fitness, np.asarray(driver.centre(driver.init())), 5, rng.address(0, rng.Purpose.SEEDS)
    )
    worst = np.sort(losses[:, 0])[::-1][:2]  # the same cycle may be in the pool twice
    np.testing.assert_allclose(losses[told.hardest, 0], worst, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"instances": "all", "hardest_of": 8}, "hardest_of chooses among random instances"),
        ({"instances": 16, "hardest_of": 40}, "must be a multiple of instances, 16; use 48"),
    ],
)
def test_what_cannot_be_chosen_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Batch(**settings)


def test_half_of_the_bundles_is_a_whole_number() -> None:
    batch = Batch(instances=12, hardest_of=24)
    with pytest.raises(ConfigError, match="hardest_of chooses half of them; use 16"):
        batch.bundles(AssociativeRecall(n=4))
