"""What `check` says, for a device whose compiler is the one here: against the ledger and hand arithmetic."""

import os
import re
from dataclasses import replace
from unittest import mock

import pytest

from es_randomized import check as module
from es_randomized import driver_of, load
from es_randomized.accelerators import elsewhere
from es_randomized.accelerators.device_type import DEVICE_TYPES, device_type
from es_randomized.accelerators.elsewhere import NoCompilerError, compiler_for, target_config
from es_randomized.check import check, fitting, training
from es_randomized.device_memory import GIB
from es_randomized.drivers import blocks
from es_randomized.errors import ConfigError, MemoryBudgetError
from tests.test_ledger import FLOPS_PER_TOKEN, TOKENS
from tests.tools.command import TINY, TINY_GRADIENT, run, run_here
from tests.tools.toy import ACCELERATOR, DEVICE, Toy


@pytest.fixture(scope="module")
def checked():
    (found,) = check(load(TINY, {"evaluation": {"seeds": 4, "votes": []}}), Toy(DEVICE))
    return found


def test_every_program_of_a_run_is_compiled(checked):
    assert [(each.name, each.calls) for each in checked.programs] == [
        ("chunk", 3),
        ("part of the update", 1),
        ("block of the evaluation", 0),
    ]
    driver = driver_of(load(TINY))
    shape, rows, inputs = driver.strategy.proposal_shape(), driver.chunks[0], driver.inputs(0)
    analysis = driver.chunk_losses.lower(shape, rows, inputs).compile().memory_analysis()
    needed = analysis.argument_size_in_bytes + analysis.temp_size_in_bytes + analysis.output_size_in_bytes
    assert checked.programs[0].memory == needed
    assert checked.fits


def test_flop_of_a_member_are_the_ledgers(checked):
    assert checked.flops == TOKENS * FLOPS_PER_TOKEN
    assert checked.programs[0].flops == 4 * checked.flops


def test_bounds_follow_from_what_is_moved_and_multiplied(checked):
    chunk, part, _ = checked.programs
    slow = (3 * chunk.work.bytes + part.work.bytes) / 1e9
    assert checked.rate(1) == pytest.approx(12 / slow)
    two = (2 * chunk.work.bytes + part.work.bytes) / 1e9  # three chunks on two devices take two rounds
    assert checked.rate(2) == pytest.approx(12 / two)
    assert checked.dollars(2, 3.6) == pytest.approx(1e9 * two / 12 / 3600 * 2 * 3.6)
    weak = replace(checked, device=replace(DEVICE, flops=1e3, bandwidth=1e15))
    assert weak.seconds(weak.programs[0]) == (pytest.approx(chunk.flops / 1e3), "products")


@pytest.mark.long
def test_what_does_not_fit_gets_the_nearest_plan_that_does():
    wide = load(TINY, {"driver": {"population": 64}, "plan": {"chunk": 64, "block": 32}, "batch": {"instances": 64}})
    (found,) = training(wide, Toy(DEVICE))
    small = replace(DEVICE, memory=found.memory - 1)
    assert not replace(found, device=small).fits
    plan = fitting(wide, Toy(small))
    # 32 rows in the four chunks that small generations have; no smaller block was needed.
    assert (plan.chunk, plan.block) == (16, 32)
    assert driver_of(replace(wide, plan=plan)).fitness.block == 32


@pytest.mark.long
def test_the_command_says_which_blocks_were_tried(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (1, 2))
    monkeypatch.setattr("es_randomized.accelerators.device_type.device_type", lambda name: ACCELERATOR)
    monkeypatch.setattr("es_randomized.accelerators.elsewhere.compiler_for", Toy)
    result = run_here("check", "--here", TINY, "--target", "toy", "--evaluation.seeds", 4, "--evaluation.votes", "[]")
    assert result.returncode == 0, result.stderr
    first, second = [line for line in result.stdout.splitlines() if line.startswith("block ")]
    best = first.split()[1].rstrip(":")
    assert re.search(rf"chunk \d+, tile \d+, block {best}\s", result.stdout)
    assert float(first.split()[2].replace(",", "")) >= float(second.split()[2].replace(",", ""))


@pytest.mark.long
def test_a_phase_says_which_blocks_were_tried_where_its_own_plan_leaves_them_open(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", (1, 2))
    changes = {"phases": [{"share": 0.5}, {"share": 0.5, "plan": {"chunk": 4, "block": 2}}]}
    first, second = training(load(TINY, changes), Toy(ACCELERATOR))
    assert {each.block for each in first.blocks} == {1, 2}
    assert first.experiment.plan.block == first.blocks[0].block
    assert (second.blocks, second.experiment.plan.block) == ((), 2)


def test_nothing_fits_nothing(monkeypatch):
    monkeypatch.setattr(module, "driver_of", mock.Mock(side_effect=MemoryBudgetError("too large")))
    assert fitting(load(TINY), Toy(DEVICE)) is None
    assert module.driver_of.call_count == 5


def test_gradient_descent_is_one_program():
    (found,) = training(load(TINY_GRADIENT), Toy(DEVICE))
    assert [each.name for each in found.programs] == ["gradient step"]
    assert (found.members, found.flops) == (1, driver_of(load(TINY_GRADIENT)).cost().flops)


def test_without_a_compiler_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(elsewhere, "_installed", lambda module: False)
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    for name, extra in (("v6e", "tpu-check"), ("h100", "gpu-check")):
        with pytest.raises(NoCompilerError, match=rf"{name} is not installed; pip install 'es-randomized\[{extra}\]'"):
            compiler_for(device_type(name))
    with pytest.raises(ConfigError, match="did you mean h100"):
        device_type("h10")


def test_an_unknown_target_is_refused_by_the_command():
    result = run("check", TINY, "--target", "abacus")
    assert result.returncode == 1
    assert "nothing is known of a device 'abacus'; known: v5e, v5p" in result.stderr


def test_a_compiler_that_crashes_ends_in_one_message(tmp_path):
    (tmp_path / "crash.yaml").write_text("task: {kind: crash}\n")
    (tmp_path / "crash.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = run("check", tmp_path / "crash.yaml", "--target", "v6e", PYTHONPATH=paths)
    assert result.returncode == 1
    assert result.stderr.startswith("error: the compiler for v6e crashed (SIGSEGV), so nothing can be said")
    assert "Traceback" not in result.stderr


def test_data_sheets_have_no_slips_of_a_power_of_ten():
    for device in DEVICE_TYPES.values():
        assert 10 < device.memory / GIB < 200
        assert 20 < device.flops / device.bandwidth < 700  # FLOP a byte: of every accelerator of these years
        assert device.lanes == (128 if device.platform == "tpu" else 1)
    config = target_config(device_type("h100"))
    assert "core_count: 132 " in config
    assert "cuda_compute_capability { major: 9 minor: 0 }" in config
