"""How many members an accelerator evaluates side by side, for devices whose compiler is the one here."""

from dataclasses import replace
from functools import partial

import pytest

from es_randomized import driver_of, load
from es_randomized.accelerators.device_type import DEVICE_TYPES, KINDS, device_here, known
from es_randomized.accelerators.hlo import Module
from es_randomized.compilation import HERE, Here
from es_randomized.drivers import blocks
from es_randomized.drivers.evolution import Evolution
from es_randomized.errors import MemoryBudgetError
from tests.tools.command import TINY
from tests.tools.toy import ACCELERATOR, DEVICE, Toy


def with_block(block):
    return load(TINY, {"plan": {"chunk": 4, "block": block}})


@pytest.mark.long
def test_the_block_with_the_shortest_bound_is_taken_and_stays_in_the_plan(monkeypatch):
    """By the bytes of programs that are compiled again here, one by one."""
    monkeypatch.setattr(blocks, "BLOCKS", (1, 2))
    compiler, seconds = Toy(ACCELERATOR), {}
    for block in (1, 2):
        chunk = driver_of(with_block(block), compiler=compiler).programs()[0]
        moved = Module(chunk.function.lower(*chunk.arguments).compile().as_text()).work.bytes
        seconds[block] = moved / ACCELERATOR.bandwidth / 4
    assert seconds[1] != seconds[2]
    driver = driver_of(with_block("auto"), compiler=compiler)
    assert driver.experiment.plan.block == driver.fitness.block == min(seconds, key=lambda block: seconds[block])
    tried = blocks.candidates(partial(Evolution.with_block, with_block("auto"), compiler), compiler)
    assert {each.block: each.seconds for each in tried} == pytest.approx(seconds)
    assert driver_of(driver.experiment, compiler=compiler).experiment == driver.experiment


def test_blocks_that_do_not_fit_are_left_out(monkeypatch):
    """Where none fits, the usual one says why."""
    monkeypatch.setattr(blocks, "BLOCKS", (1, 2))

    def fits_alone(block):
        if block > 1:
            raise MemoryBudgetError("too large")
        return Evolution.with_block(with_block("auto"), compiler, block)

    compiler = Toy(ACCELERATOR)
    assert blocks.best_block(fits_alone, compiler) == 1
    monkeypatch.setattr(blocks, "BLOCKS", (2,))
    assert blocks.best_block(fits_alone, compiler) == blocks.BLOCK


@pytest.mark.long
def test_blocks_larger_than_a_chunk_are_not_tried(monkeypatch):
    """Of a chunk of two pairs of members no more than two pairs can stand side by side."""
    monkeypatch.setattr(blocks, "BLOCKS", (1, 2, 4))
    compiler = Toy(ACCELERATOR)
    tried = blocks.candidates(partial(Evolution.with_block, with_block("auto"), compiler), compiler)
    assert {each.block for each in tried} == {1, 2}
    two, four = (driver_of(with_block(block), compiler=compiler).programs()[0] for block in (2, 4))
    moved = [Module(each.function.lower(*each.arguments).compile().as_text()).work.bytes for each in (two, four)]
    assert moved[0] == pytest.approx(moved[1], rel=0.05)


@pytest.mark.long
def test_blocks_that_the_device_has_no_room_for_are_left_out(monkeypatch):
    """Also where the plan says the chunk, so that nothing else looks at its memory."""
    monkeypatch.setattr(blocks, "BLOCKS", (1, 2))
    needed = {block: driver_of(with_block(block), compiler=Toy(ACCELERATOR))._program_bytes(2) for block in (1, 2)}
    larger = max(needed, key=lambda block: needed[block])
    assert needed[larger] > min(needed.values())
    room = Toy(replace(ACCELERATOR, platform="tpu", memory=needed[larger] - 1))  # of a TPU programs may take everything
    tried = blocks.candidates(partial(Evolution.with_block, with_block("auto"), room), room)
    assert [each.block for each in tried] == [3 - larger]


def test_nothing_is_compiled_to_choose_on_a_cpu():
    assert blocks.best_block(lambda block: pytest.fail("tried"), HERE) == 1
    assert blocks.best_block(lambda block: pytest.fail("tried"), Toy(DEVICE)) == 1


def test_a_device_that_nothing_is_known_of_gets_the_usual_block(monkeypatch):
    monkeypatch.setattr(Here, "platform", "gpu")
    assert device_here() is None  # a CPU has no data sheet
    assert blocks.best_block(lambda block: pytest.fail("tried"), HERE) == blocks.BLOCK


def test_types_of_device_are_known_by_what_jax_calls_them():
    kinds = ("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA L4", "TPU v5 lite", "TPU v5", "TPU v6 lite")
    assert [known(kind).name for kind in kinds] == ["h100", "a100-80", "l4", "v5e", "v5p", "v6e"]
    for other in ("cpu", "NVIDIA L40S", "NVIDIA RTX A1000", "TPU v4"):
        assert known(other) is None
    assert set(KINDS.values()) == set(DEVICE_TYPES)
