"""What makes a generation fast, as properties of its programs and not of a clock: shapes, compilations, transfers, memory."""

from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, load, train
from es_randomized.drivers.plan import MIB, program_bytes

CONFIGS = Path(__file__).parents[1] / "configs"
TASKS = ["colouring/one_phase.yaml", "recall/evolution.yaml", "treasure_hunt/three.yaml"]
SMALL = {"driver.population": 8, "batch.seeds": 2, "budget.generations": 3}


@cache
def made(config: str, **more: int) -> Evolution:
    instances = {} if "hunt" in config else {"batch.instances": 8}
    return Evolution.of(load(CONFIGS / config, SMALL | instances | {"plan.chunk": 4} | more))


@pytest.mark.long
@pytest.mark.parametrize("config", TASKS)
def test_a_run_compiles_every_program_once(config: str) -> None:
    evolution = made(config)
    devices = len(jax.local_devices())
    steps = list(train(evolution, LocalEvaluator(evolution), evolution.init()))
    assert all(np.isfinite(step.losses).all() for step in steps)
    assert (np.asarray(evolution.centre(steps[-1].state)) != np.asarray(evolution.centre(evolution.init()))).any()
    strategy = evolution.strategy
    assert evolution.chunk_losses._cache_size() == devices == 2
    assert {program._cache_size() for program in (strategy._propose, strategy._update)} == {1}


@pytest.mark.parametrize("config", TASKS)
def test_a_chunk_is_computed_without_the_host(config: str) -> None:
    evolution = made(config)
    sample = evolution.strategy.ask(evolution.init(), 1).proposal
    arguments = jax.device_put((sample, evolution.chunks[0], evolution.inputs(1)), jax.local_devices()[0])
    evolution.chunk_losses(*arguments)
    with jax.transfer_guard("disallow"):
        jax.block_until_ready(evolution.chunk_losses(*arguments))
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):  # the guard does guard
            evolution.chunk_losses(arguments[0], evolution.chunks[0], evolution.inputs(0))
    assert "callback" not in str(jax.make_jaxpr(evolution.chunk_losses.__wrapped__)(*arguments))


def test_memory_of_a_chunk_does_not_grow_with_the_population() -> None:
    few, many = made("colouring/one_phase.yaml"), made("colouring/one_phase.yaml", **{"driver.population": 4096})
    needed = [
        program_bytes(each.chunk_losses, each.strategy.proposal_shape(), each.chunk_rows, each.inputs(0))
        for each in (few, many)
    ]
    assert needed[0] == needed[1] < few.experiment.plan.memory_mib * MIB


@pytest.mark.parametrize("config", TASKS)
def test_products_have_many_columns(config: str) -> None:
    """Vectors lie along the last axis: there must be cases, or nodes and cases, or a whole weight matrix."""
    evolution = Evolution.of(load(CONFIGS / config))
    sample, rows, number = evolution.strategy.proposal_shape(), evolution.chunks[0], evolution.inputs(0)
    columns = _columns_of_products(jax.make_jaxpr(evolution.chunk_losses.__wrapped__)(sample, rows, number).jaxpr)
    assert max(columns) >= 128
    assert min(columns) >= 16


def _columns_of_products(jaxpr: object) -> set[int]:
    found = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found.add(equation.outvars[0].aval.shape[-1])
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda each: hasattr(each, "jaxpr") or hasattr(each, "eqns")
        ):
            if hasattr(value, "jaxpr") or hasattr(value, "eqns"):
                found |= _columns_of_products(getattr(value, "jaxpr", value))
    return found
