"""The plan against directly measured memory, brute force and properties."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_randomized import driver_of, load
from es_randomized.compilation import Compiler
from es_randomized.drivers import plan
from es_randomized.drivers.blocks import BLOCK
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.plan import MIB
from es_randomized.errors import ConfigError, MemoryBudgetError
from tests.tools.command import TINY

WIDTH = 2**16  # floats per member: a quarter of a MiB
SAMPLE = jax.ShapeDtypeStruct((4, WIDTH), np.float32)
SIZES = [24, 12, 6, 3, 2, 1]


@jax.jit
def program(sample, ids, generation):
    """A chunk program that needs several WIDTH-sized temporaries per member."""
    rows = sample[ids % 4] * generation.astype(jnp.float32)
    return jnp.sort(rows, axis=1)[:, ::7].sum(axis=1)


def bytes_of(rows):
    return plan.program_bytes(program, SAMPLE, rows, np.uint32(0))


@pytest.fixture(scope="module")
def measured():
    """Bytes by chunk size, from XLA's own analysis of the compiled program."""

    def needed(members):
        ids, generation = np.zeros(members, np.int32), np.uint32(0)
        found = program.lower(SAMPLE, ids, generation).compile().memory_analysis()
        return found.argument_size_in_bytes + found.temp_size_in_bytes + found.output_size_in_bytes

    return {size: needed(size) for size in SIZES}


def test_program_bytes_are_what_the_compiler_says(measured):
    assert plan.program_bytes(program, SAMPLE, 3, np.uint32(0)) == measured[3]
    assert measured[12] > 4 * WIDTH * (4 + 12)  # at least the sample and one row per member


@pytest.mark.parametrize("memory_mib", [3, 5, 200])
def test_the_largest_chunk_within_the_budget_is_picked(measured, memory_mib):
    fitting = [size for size in SIZES if measured[size] <= memory_mib * 2**20]
    assert plan.rows_that_fit(bytes_of, 24, memory_mib) == max(fitting)


def test_budgets_tell_chunks_apart(measured):
    """The budgets above are on different sides of the sizes, so that the test above can fail."""
    picked = {mib: max(s for s in SIZES if measured[s] <= mib * 2**20) for mib in (3, 5, 200)}
    assert picked[200] == 24
    assert len(set(picked.values())) == 3


def test_nothing_fits_a_budget_below_one_member(measured):
    needed = measured[1]
    message = (
        f"the smallest chunk needs {needed / 2**20:.1f} MiB, but plan.memory_mib is 1; "
        f"raise it to {-(-needed // 2**20)} or"
    )
    with pytest.raises(MemoryBudgetError, match=message):
        plan.rows_that_fit(bytes_of, 2, 1)
    assert plan.rows_that_fit(bytes_of, 1, -(-needed // 2**20)) == 1


@given(st.integers(1, 400), st.integers(1, 70))
def test_chunks_hold_every_member_once_before_the_filled_up_tail(population, size):
    chunks = plan.chunks(population, size)
    assert {chunk.shape for chunk in chunks} == {(size,)}
    ids = np.concatenate(chunks).tolist()
    assert ids[:population] == list(range(population))
    assert ids[population:] == [population - 1] * (len(ids) - population)
    assert len(ids) - population < size


@given(st.integers(1, 5000), st.floats(1, 1e13))
def test_default_chunks_are_small_where_members_are_expensive_and_four_to_sixteen_where_they_are_cheap(rows, flops):
    size = plan.default_rows(rows, flops, "cpu")
    count = len(plan.chunks(rows, size))
    assert 1 <= size <= rows
    worth = [many for many in (16, 8) if rows * flops / many >= 2.5e8]  # whose chunks are worth their messages
    assert count >= min(rows, worth[0] if worth else 4) / 2  # rounding up may halve the last ones away
    if count > 16:
        assert (size - 1) * flops < 1e9, "a smaller chunk would have been worth a message"
    elif not worth and rows >= 4:
        assert count <= 4
    on_gpu = plan.default_rows(rows, flops, "gpu")
    assert len(plan.chunks(rows, on_gpu)) >= min(rows, 16) / 2, "of accelerators all small generations have sixteen"
    if 16 in worth:
        assert on_gpu >= size


@given(st.integers(1, 600), st.integers(1, 10**6))
def test_default_tiles_are_the_largest_divisor_that_fits_the_cache(cases, bytes_per_case):
    tile = plan.default_tile(cases, bytes_per_case, "cpu")
    larger = [size for size in range(tile + 1, cases + 1) if cases % size == 0]
    assert cases % tile == 0
    assert tile == 1 or tile * bytes_per_case <= plan.CPU_TILE_BYTES
    assert all(size * bytes_per_case > plan.CPU_TILE_BYTES for size in larger)
    assert plan.default_tile(cases, bytes_per_case, "gpu") == cases


@dataclass(frozen=True)
class Tpu(Compiler):
    """A device that need not be here, whose programs take a MiB for every row of noise."""

    free: int = 2**40
    platform = "tpu"

    def compile(self, program, *shapes):
        raise AssertionError("memory is asked for, nothing else")

    def memory_bytes(self, program, *shapes):
        return MIB * shapes[1].shape[0]

    def free_bytes(self):
        return self.free


def test_a_plan_is_made_for_the_compiler_that_is_given():
    experiment = load(TINY, {"driver": {"population": 1024}, "plan": {"chunk": "auto", "memory_mib": 20}})
    here, there = driver_of(experiment).experiment.plan, driver_of(experiment, compiler=Tpu()).experiment.plan
    assert (here.block, there.block) == (1, BLOCK)
    assert there.tile == experiment.batch.cases(experiment.task)
    assert there.chunk == 2 * 16  # 512 rows in 16 chunks are 32, halved once to stay within 20 MiB
    with pytest.raises(MemoryBudgetError, match="0 MiB are free"):
        driver_of(experiment, compiler=Tpu(free=100))


def test_a_driver_that_knows_no_compilers_is_refused_for_another_device(monkeypatch):
    of = Evolution.of
    monkeypatch.setattr(Evolution, "of", classmethod(lambda cls, experiment, share_with=None: of(experiment)))
    assert driver_of(load(TINY)).parameters
    with pytest.raises(ConfigError, match="give its method `of` an argument compiler"):
        driver_of(load(TINY), compiler=Tpu())
