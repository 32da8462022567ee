"""Low-rank perturbations: the noise, the sums of an update, and members that share their matrix products."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, Experiment, rng
from es_randomized.config.sections import Batch, Budget, Plan
from es_randomized.models.transformer import Transformer
from es_randomized.perturbed import Perturbed, centred
from es_randomized.strategies import division
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.algorithms.pgpe import PGPE
from es_randomized.strategies.catalogue import named
from es_randomized.strategies.low_rank import LowRank
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.strategy import SearchSpace
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.treasure_hunt import TreasureHunt

SHAPES = ((7,), (6, 9), (2, 5, 8), (3,))
MATRICES = {(7, 61): (6, 9), (61, 101): (5, 8), (101, 141): (5, 8)}  # where they are in the flat order
MODEL = Transformer(width=12, blocks=1, heads=2, hidden=20)


def settings(kind="Open_ES", population=16, std=0.1, rank=1, learning_rate=0.1):
    optimizer = Optimizer(learning_rate=learning_rate)
    return named(kind).Settings(population=population, std=std, optimizer=optimizer, rank=rank)


def evolution(task, model, kind="Open_ES", rank=2, **plan):
    batch = Batch(instances=4 * task.bundle if isinstance(task, AssociativeRecall) else task.bundle, seeds=3)
    driver, plan = settings(kind, rank=rank), Plan(chunk=16, **plan)
    return Evolution.of(
        Experiment(task=task, model=model, driver=driver, batch=batch, budget=Budget(generations=5), plan=plan)
    )


def chunk_of(driver):
    ask = driver.strategy.ask(driver.init(), 1)
    return driver.chunk_losses(ask.proposal, np.arange(driver.strategy.rows, dtype=np.int32), driver.inputs(1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_noise_is_a_product_of_thin_matrices_with_unit_variance(rank):
    noise, key = LowRank(144, SHAPES, rank), rng.address(0, rng.Purpose.NOISE, 0)
    block = jax.jit(lambda rows, first, width: noise.block(None, key, rows, first, width), static_argnums=(1, 2))
    z = np.asarray(block(jnp.arange(3_000), 0, 144), np.float64)
    for (start, end), shape in MATRICES.items():
        assert {np.linalg.matrix_rank(row[start:end].reshape(shape), tol=1e-4) for row in z[:50]} == {rank}
    # An entry is a mean of products of normals: kurtosis 3 + 6 / rank, so z^2 has the variance 2 + 6 / rank.
    assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(3_000)
    assert np.abs((z**2).mean(axis=0) - 1).max() < 6 * np.sqrt((2 + 6 / rank) / 3_000)
    np.testing.assert_allclose(block(jnp.array([7]), 32, 50)[0], z[7, 32:82], atol=1e-6)
    assert noise.draws_per_entry == (7 + 15 * rank + 2 * 13 * rank + 3) / 144


# Fewer rows than a contraction reads at once, more, and two blocks with more in each.
@pytest.mark.parametrize(("population", "rank", "blocks"), [(16, 1, 1), (200, 3, 1), (300, 3, 2)])
def test_the_sums_are_those_over_all_perturbations_put_together(population, rank, blocks, monkeypatch):
    monkeypatch.setattr(division, "TALLEST", 100)
    strategy = PGPE(settings("PGPE", population, rank=rank), SearchSpace(SHAPES, 0, 10))
    assert strategy.parts.down == blocks
    ask = strategy.ask(strategy.init(jax.random.key(0), jnp.zeros(144)), 3)
    shaped = np.linspace(-1, 1, population, dtype=np.float32) ** 3
    sums = strategy.parts.joined(strategy.parts.here(ask.proposal, shaped))
    members, half = np.asarray(jax.jit(strategy.everyone)(ask.proposal), np.float64), population // 2
    z = (members[:half] - members[half:]) / (2 * 0.1)
    first, second = shaped[:half] - shaped[half:], shaped[:half] + shaped[half:] - 2 * shaped.mean()
    np.testing.assert_allclose(sums[0], first.astype(np.float64) @ z, atol=1e-4)
    np.testing.assert_allclose(sums[1], second.astype(np.float64) @ z**2, atol=2e-3)


CASES = {
    "ring": (CycleColouring(n=5), dataclasses.replace(MODEL, key=3)),
    "store": (AssociativeRecall(n=3, bits=2, noise_width=2), dataclasses.replace(MODEL, key=3, stem=8)),
    "bare": (
        AssociativeRecall(n=3, bits=2, noise_width=2),
        dataclasses.replace(MODEL, key=3, stem=8, hidden=None, norm="none", attention="linear"),
    ),
    "steps": (TreasureHunt(rows=2, columns=3, steps=6), dataclasses.replace(MODEL, attention="linear")),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_members_side_by_side_lose_what_they_lose_alone(name):
    alone, together = (evolution(*CASES[name], block=block) for block in (1, 8))
    assert (alone.strategy.factored, together.strategy.factored) == (False, True)
    np.testing.assert_allclose(chunk_of(together), chunk_of(alone), rtol=2e-5)


def test_members_side_by_side_never_have_matrices_of_their_own():
    driver = evolution(CycleColouring(n=5), MODEL, block=8)
    program = jax.make_jaxpr(driver._chunk_losses)(
        driver.strategy.proposal_shape(), jax.ShapeDtypeStruct((8,), np.int32), driver.inputs(0)
    )
    matrices = {shape for shape in driver.strategy.noise.shapes if len(shape) > 1}
    matrices |= {shape[1:] for shape in matrices if len(shape) == 3}
    assert {(20, 12), (12, 12)} <= matrices
    shapes = shapes_in(program.jaxpr)
    assert not [shape for shape in shapes if len(shape) > 2 and shape[-2:] in matrices and shape[0] in (8, 16)]
    assert (8, 32, 2) in shapes or (8, 64) in shapes  # factors do have a member axis


def shapes_in(jaxpr):
    shapes = {v.aval.shape for equation in jaxpr.eqns for v in equation.outvars}
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(tuple(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")):
            if hasattr(value, "jaxpr"):
                shapes |= shapes_in(value.jaxpr)
    return shapes


def test_a_step_size_for_every_entry_puts_matrices_together():
    drivers = {kind: evolution(*CASES["ring"], kind=kind, block=8) for kind in ("PGPE", "SNES", "Sep_CMA_ES")}
    assert not any(driver.strategy.factored for driver in drivers.values())
    assert np.isfinite(chunk_of(drivers["PGPE"])).all()


def test_a_perturbed_matrix_behaves_as_the_matrix_it_stands_for():
    draw = np.random.default_rng(0).normal
    stack = Perturbed(*(jnp.asarray(draw(size=shape), jnp.float32) for shape in ((2, 4, 5), (2, 4, 3), (2, 5, 3))))
    x, whole = jnp.asarray(draw(size=(5, 6)), jnp.float32), np.asarray(stack.mean + stack.left @ stack.right.mT)
    for matrix, dense in zip(stack, whole, strict=True):
        np.testing.assert_allclose(matrix @ x, dense @ x, atol=1e-5)
        np.testing.assert_allclose((matrix * 0.5) @ x, 0.5 * dense @ x, atol=1e-5)
        np.testing.assert_allclose(matrix.mT @ matrix, dense.T @ dense, atol=1e-5)
        np.testing.assert_allclose(centred(matrix) @ x, (dense - dense.mean(axis=0)) @ x, atol=1e-5)
        assert matrix.shape == dense.shape


def test_it_finds_a_full_rank_matrix():
    """Rank-1 steps add up: the target has full rank, and the weights reach it."""
    target = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    strategy = Open_ES(settings(population=64, std=0.05, learning_rate=0.05), SearchSpace(((6, 9),), 0, 300))
    state, everyone = strategy.init(jax.random.key(0), jnp.zeros(54)), jax.jit(strategy.everyone)
    for generation in range(300):
        ask = strategy.ask(state, generation)
        matrices = np.asarray(everyone(ask.proposal)).reshape(-1, 6, 9)
        state = strategy.tell(ask, ((matrices - target) ** 2).sum(axis=(1, 2)).astype(np.float32))
    error = np.asarray(strategy.centre(state)).reshape(6, 9) - target
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(target)
