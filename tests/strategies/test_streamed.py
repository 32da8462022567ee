"""Streamed strategies against evosax's own, which hold the population as a matrix: the same members, the same updates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import rng
from es_randomized.errors import ConfigError
from es_randomized.schedules import Schedule
from es_randomized.strategies import division
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.catalogue import named, names
from es_randomized.strategies.evosax_adapter import EvosaxStrategy
from es_randomized.strategies.noise import NOISES, Normal, Rademacher, Table
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.options import current
from es_randomized.strategies.rule import Rule
from es_randomized.strategies.strategy import SearchSpace

SIZE, POPULATION, GENERATIONS = 203, 24, 50  # neither a multiple of a part's width nor of 32
STREAMED = [kind for kind in names() if issubclass(named(kind), Rule)]
START = jnp.linspace(-1.0, 1.0, SIZE)
TARGET = jnp.cos(jnp.arange(SIZE, dtype=jnp.float32))


def settings(kind, **more):
    optimizer = Optimizer(kind="adam", learning_rate=Schedule(start=0.05, end=0.01), weight_decay=0.01)
    std = Schedule(start=0.2, end=0.05) if named(kind).scheduled else 0.2
    if kind == "SNES":
        optimizer = Optimizer(kind="sgd", learning_rate=0.9, momentum=0.0)
    return named(kind).Settings(population=POPULATION, std=std, optimizer=optimizer, **more)


def streamed(kind, generations=10, **more):
    return named(kind)(settings(kind, **more), space(generations))


def space(generations=10, size=SIZE, seed=3):
    return SearchSpace(((size,),), seed, generations)


@pytest.fixture(autouse=True)
def narrow_parts(monkeypatch):
    """Small weights have several blocks of columns, as large ones do."""
    monkeypatch.setattr(division, "NARROWEST", 64)


def losses(members):
    return jnp.mean((members - TARGET[None]) ** 2, axis=-1)


@pytest.mark.parametrize("kind", STREAMED)
def test_fifty_generations_equal_evosax(kind, monkeypatch):
    ours = streamed(kind, GENERATIONS)
    monkeypatch.setattr(division, "TALLEST", 5)
    divided = streamed(kind, GENERATIONS)
    assert (ours.parts.down, divided.parts.down) == (1, 3 if ours.antithetic else 5)
    theirs = EvosaxStrategy(settings(kind), space(GENERATIONS))
    key = jax.random.key(0)
    mine, by_rows, evosaxs = ours.init(key, START), divided.init(key, START), theirs.init(key, START)
    everyone, losses_of = jax.jit(ours.everyone), jax.jit(losses)
    for generation in range(GENERATIONS):
        ask, reference = ours.ask(mine, generation), theirs.ask(evosaxs, generation)
        members = reference.proposal[0]
        np.testing.assert_allclose(everyone(ask.proposal), members, atol=2e-6)
        lost = np.asarray(losses_of(members))  # the same for both: ranks would turn a last bit into a jump
        mine, evosaxs = ours.tell(ask, lost), theirs.tell(reference, lost)
        if generation < 10:
            by_rows = divided.tell(divided.ask(by_rows, generation), lost)
        if generation == 9:
            np.testing.assert_allclose(divided.centre(by_rows), theirs.centre(evosaxs), atol=1e-6)
    np.testing.assert_allclose(ours.centre(mine), theirs.centre(evosaxs), atol=1e-6)
    assert np.abs(ours.centre(mine) - START).max() > 0.1
    assert {program._cache_size() for program in (ours._propose, ours.parts.compute, ours._update)} == {1}


@pytest.mark.parametrize("kind", ["Open_ES", "SNES"])
def test_members_and_parts_are_the_same_in_any_portion(kind):
    strategy = streamed(kind)
    ask = strategy.ask(strategy.init(jax.random.key(0), START), 4)
    together = jax.jit(strategy.members)(ask.proposal, jnp.arange(strategy.rows))
    for row in (0, strategy.rows - 1):
        alone = jax.jit(strategy.members)(ask.proposal, jnp.array([row]))
        np.testing.assert_allclose(alone[0], together[row], atol=2e-7)  # programs of other shapes may fuse otherwise
    received = strategy.receive(strategy.message(ask), 4)
    shaped = np.linspace(-1, 1, POPULATION, dtype=np.float32)
    compute = strategy.parts.compute
    assert strategy.parts.count == 4
    for index in (0, strategy.parts.count - 1):
        np.testing.assert_array_equal(
            compute(received, shaped, np.int32(index)), compute(ask.proposal, shaped, np.int32(index))
        )


@pytest.mark.parametrize("workers", [1, 3])
def test_an_update_has_the_same_bits_whoever_computes_its_parts_in_any_order(workers, monkeypatch):
    monkeypatch.setattr(division, "TALLEST", 5)
    strategy, lost = streamed("SNES"), np.linspace(1, 0, POPULATION, dtype=np.float32) ** 2
    ask = strategy.ask(strategy.init(jax.random.key(0), START), 4)
    received = [strategy.receive(strategy.message(ask), 4) for _ in range(workers)]

    def by_workers(parts, _, counted):
        assert (parts.down, parts.across) == (5, 4)
        order = np.random.default_rng(workers).permutation(parts.count)
        computed = {i: parts.compute(received[n % workers], counted, np.int32(i)) for n, i in enumerate(order)}
        return [np.asarray(computed[i]) for i in range(parts.count)]

    expected = strategy.tell(ask, lost)
    jax.tree.map(np.testing.assert_array_equal, strategy.tell(ask, lost, by_workers), expected)


def test_show_explains_how_an_update_is_divided(monkeypatch):
    monkeypatch.undo()
    said = Open_ES(Open_ES.Settings(population=65_536), space(1, 3_392)).describe()["update"]
    assert said.startswith("16 parts, 8 blocks of rows × 2 of columns, by the workers from 2 workers on")


@pytest.mark.parametrize("tallest", [2**12, 5])
def test_the_parts_are_the_sums_over_the_whole_matrix(tallest, monkeypatch):
    monkeypatch.setattr(division, "TALLEST", tallest)
    strategy = streamed("PGPE")
    ask = strategy.ask(strategy.init(jax.random.key(0), START), 2)
    shaped = np.random.default_rng(0).normal(size=POPULATION).astype(np.float32)
    sums = strategy.parts.joined(strategy.parts.here(ask.proposal, shaped))[:, :SIZE]
    key = rng.address(3, rng.Purpose.NOISE, 2)
    z = np.asarray(jax.random.normal(key, (POPULATION // 2, SIZE)), np.float64)
    plus, minus = shaped[: POPULATION // 2].astype(np.float64), shaped[POPULATION // 2 :].astype(np.float64)
    np.testing.assert_allclose(sums[0], (plus - minus) @ z, atol=1e-5)
    np.testing.assert_allclose(sums[1], (plus + minus - 2 * shaped.mean(dtype=np.float64)) @ z**2, atol=1e-4)


def block_of(noise, kept, key, rows, first, width):
    """The block in one program: operations one by one would each be compiled."""
    return jax.jit(lambda *drawn: noise.block(*drawn, first, width))(kept, key, rows)


@pytest.mark.parametrize("columns", [5, 33, 70_001])
def test_normal_noise_is_a_block_of_one_large_draw(columns):
    key = rng.address(7, rng.Purpose.NOISE, 1)
    whole = jax.random.normal(key, (9, columns))
    rows, first, width = jnp.array([8, 0, 3]), columns // 2, columns - columns // 2
    block = block_of(Normal(columns), None, key, rows, first, width)
    np.testing.assert_array_equal(block, whole[rows][:, first:])


def test_counters_past_32_bits_are_those_of_the_large_draw():
    """Row and column of an entry beyond 2^32, against threefry on the 64-bit counter."""
    key, columns, row, column = jax.random.key(5), 1_000_003, 9_999, 123_456
    counter = row * columns + column
    assert counter > 2**32
    from jax.extend.random import threefry2x32_p

    one, two = jax.random.key_data(key)
    high, low = np.uint32(counter >> 32), np.uint32(counter & 0xFFFFFFFF)
    first, second = threefry2x32_p.bind(one, two, jnp.asarray(high), jnp.asarray(low))
    from es_randomized.strategies.noise import _bits

    assert int(_bits(key, jnp.array([row]), columns, column, 1)[0, 0]) == int(first) ^ int(second)


@pytest.mark.parametrize("noise", [Rademacher(columns=1_001), Table(columns=1_001, size=2**16)])
def test_cheap_noise_has_zero_mean_unit_variance_and_independent_rows(noise):
    kept, key, rows = noise.prepare(0), rng.address(0, rng.Purpose.NOISE, 0), jnp.arange(64)
    z = np.asarray(block_of(noise, kept, key, rows, 0, 1_001), np.float64)
    np.testing.assert_array_equal(block_of(noise, kept, key, rows[5:9], 32, 64), z[5:9, 32:96].astype(np.float32))
    count = z.size
    assert abs(z.mean()) < 5 / np.sqrt(count)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / count)
    correlations = (z @ z.T / 1_001)[np.triu_indices(64, 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(1_001)


def test_a_table_holds_the_normals_of_jax():
    table = Table(columns=77, size=1_000)
    expected = jax.random.normal(rng.address(5, rng.Purpose.NOISE_TABLE), (1_077,))
    np.testing.assert_array_equal(table.prepare(5), expected)


def test_signs_are_signs_and_tables_overlap():
    key, rows = rng.address(0, rng.Purpose.NOISE, 0), jnp.arange(40)
    assert set(np.unique(block_of(Rademacher(70), None, key, rows, 0, 70))) == {-1.0, 1.0}
    table = Table(70, size=8)
    z = np.asarray(block_of(table, table.prepare(0), key, rows, 0, 70))
    assert len(np.unique(z, axis=0)) <= 8


@pytest.mark.parametrize("noise", ["rademacher", "table"])
def test_cheap_noise_finds_the_optimum_of_the_sphere(noise, monkeypatch):
    monkeypatch.setitem(NOISES, "table", lambda columns: Table(columns, size=2**12))
    optimizer = Optimizer(kind="adam", learning_rate=0.1)
    settings, size = Open_ES.Settings(population=64, std=0.1, optimizer=optimizer, noise=noise), 20
    strategy = Open_ES(settings, space(100, size, seed=0))
    state = strategy.init(jax.random.key(0), START[:size])
    everyone = jax.jit(strategy.everyone)
    for generation in range(100):
        ask = strategy.ask(state, generation)
        members = np.asarray(everyone(ask.proposal))
        state = strategy.tell(ask, ((members - np.asarray(TARGET[:size])) ** 2).sum(axis=1).astype(np.float32))
    assert np.abs(np.asarray(strategy.centre(state)) - np.asarray(TARGET[:size])).max() < 0.1


def test_cheap_noise_is_refused_where_a_matrix_is_drawn():
    with pytest.raises(
        ConfigError, match=r"driver\.noise: CMA_ES has no such option; .* has it: ARS, Open_ES, PGPE, Sep_CMA_ES, SNES$"
    ):
        current(named("CMA_ES"), {"kind": "CMA_ES", "noise": "signs"})
    with pytest.raises(ValueError, match=r"rank draws normal factors, so noise cannot be table"):
        Open_ES.Settings(noise="table", rank=1)
