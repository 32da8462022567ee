"""bfloat16 products against NumPy and against float32 policies, and where in whole programs bfloat16 occurs at all."""

import platform
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from es_randomized import Evolution, Experiment, Gradient
from es_randomized.compilation import jit, options
from es_randomized.config.sections import Batch, Plan
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.models.transformer import Transformer
from es_randomized.precision import Rounded, multiply
from es_randomized.runs.provenance import provenance
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.treasure_hunt import TreasureHunt

pytestmark = pytest.mark.long  # many programs, compiled for a minute

MODEL = Transformer(width=12, blocks=1, hidden=20)
COLOURING = CycleColouring(n=5), MODEL
RECALL = AssociativeRecall(n=3, bits=2, noise_width=2), replace(MODEL, key=3, stem=8)
HUNT = TreasureHunt(rows=2, columns=3, steps=6), replace(MODEL, key=4, heads=2)
CASES = {  # a rank: members side by side that share their matrices
    "ring, dense": (*COLOURING, None),
    "ring with keys, rank 2": (COLOURING[0], replace(MODEL, key=3), 2),
    "store, rank 2": (*RECALL, 2),
    "steps, dense": (*HUNT, None),
}


def experiment(task, model, driver, precision="bfloat16", **plan):
    batch = Batch(instances=2 * task.bundle, seeds=3)
    return Experiment(
        task=task, model=replace(model, precision=precision), driver=driver, batch=batch, plan=Plan(chunk=4, **plan)
    )


@cache
def evolution(case, precision="bfloat16"):
    task, model, rank = CASES[case]
    driver = Open_ES.Settings(population=4, std=0.1, rank=rank)
    return Evolution.of(experiment(task, model, driver, precision, block=2 if rank else 1))


def gradient(precision="bfloat16"):
    return Gradient.of(experiment(*RECALL, GradientSettings(), precision, tile=2))


def chunk_arguments(driver):
    return driver.strategy.ask(driver.init(), 1).proposal, driver.chunks[0], driver.fitness.inputs(1)


def rounding(x):
    return np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float64)


# Products


def test_a_product_and_its_derivatives_round_operands_only():
    draw = np.random.default_rng(0).normal
    a, b, slope = (jnp.asarray(draw(size=shape), jnp.float32) for shape in ((5, 300), (300, 8), (5, 8)))
    result, transposed = jax.vjp(multiply, a, b)
    ours = result, *transposed(slope)
    expected = rounding(a) @ rounding(b), rounding(slope) @ rounding(b).T, rounding(a).T @ rounding(slope)
    for product, exact in zip(ours, expected, strict=True):
        assert product.dtype == np.float32
        np.testing.assert_allclose(product, exact, rtol=1e-5, atol=1e-4)  # adding up in bfloat16 would miss by 1e-1
    assert np.abs(result - a @ b).max() > 1e-2


def test_a_rounded_matrix_behaves_as_a_matrix_and_holds_exact_numbers():
    draw = np.random.default_rng(0).normal
    a, b = (Rounded(jnp.asarray(draw(size=(4, 4)), jnp.float32)) for _ in range(2))
    np.testing.assert_array_equal(((a + b.mT) * 0.3).exact, (a.exact + b.exact.T) * 0.3)
    np.testing.assert_allclose((a @ b).exact, rounding(a.exact) @ rounding(b.exact), rtol=1e-5)
    stack = Rounded(jnp.stack([a.exact, b.exact]))
    assert [part.shape for part in stack] == [(4, 4), (4, 4)]


# Whole programs


@pytest.mark.parametrize("case", ["ring with keys, rank 2", "store, rank 2", "steps, dense"])
def test_outputs_are_those_of_float32_products_but_for_rounding(case):
    task, model, _ = CASES[case]
    interface = task.interface
    shape = (3, interface.features, 4) if interface.horizon else (interface.features, interface.nodes, 4)
    tokens = jax.random.normal(jax.random.key(1), shape)

    def outputs(precision):
        policy = replace(model, precision=precision).policy(model.init(jax.random.key(0), interface), interface)
        if not interface.horizon:
            return policy(tokens)
        memory = policy.empty(4)
        for slot, token in enumerate(tokens):
            output, memory = policy.step(memory, token, slot)
        return output

    rounded, exact = (np.asarray(jax.jit(outputs, static_argnums=0)(name)) for name in ("bfloat16", "float32"))
    assert rounded.dtype == exact.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.03 * np.abs(exact).max()


@pytest.mark.parametrize("case", ["ring, dense", "ring with keys, rank 2"])
def test_losses_are_float32_and_those_of_float32_products_but_for_rounding(case):
    drivers = evolution(case), evolution(case, "float32")
    arguments = chunk_arguments(drivers[0])
    losses, exact = (np.asarray(driver.chunk_losses(*arguments)) for driver in drivers)
    assert losses.dtype == np.float32
    np.testing.assert_allclose(losses, exact, rtol=0.03)
    assert (losses != exact).any()


@pytest.mark.parametrize("case", [*CASES, "gradient"])
def test_all_products_are_of_bfloat16_numbers_and_nothing_else_is(case):
    driver = gradient() if case == "gradient" else evolution(case)
    if case == "gradient":
        program, arguments = driver._step, (driver.init(), *driver._told(1))
    else:
        program, arguments = driver.chunk_losses.__wrapped__, chunk_arguments(driver)
    half, single, arithmetic = np.dtype(ml_dtypes.bfloat16), np.dtype("float32"), set()
    products = 0
    for equation in equations(jax.make_jaxpr(program)(*arguments).jaxpr):
        name, results = equation.primitive.name, {variable.aval.dtype for variable in equation.outvars}
        if name == "dot_general":
            products += 1
            assert {operand.aval.dtype for operand in equation.invars} == {half}
            assert results == {single}
        elif half in results or half in {operand.aval.dtype for operand in equation.invars}:
            arithmetic.add(name)
    assert products >= 5
    assert arithmetic <= {"convert_element_type", "transpose"}


def equations(jaxpr):
    """Every equation of a program and of those inside it, not those that only call others."""
    for equation in jaxpr.eqns:
        leaves = jax.tree.leaves(equation.params, is_leaf=is_program)
        inner = [program for leaf in leaves if hasattr(program := getattr(leaf, "jaxpr", leaf), "eqns")]
        if not inner:
            yield equation
        for program in inner:
            yield from equations(program)


def is_program(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


# How they are compiled


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have other libraries")
def test_the_processor_is_given_bfloat16_numbers_where_the_precision_says_so():
    """Without the option XLA turns them into float32 ones again: rounding for nothing."""
    square = jnp.ones((64, 64))
    compiled = {
        precision: jit(multiply, precision).lower(square, square).compile() for precision in ("float32", "bfloat16")
    }
    operands = {precision: products_of(program.as_text()) for precision, program in compiled.items()}
    assert "bf16" in operands["bfloat16"]
    assert "bf16" not in operands["float32"]


def products_of(text):
    """The types of what a compiled program multiplies."""
    types = dict(line.strip().removeprefix("ROOT ").split(" = ", 1) for line in text.splitlines() if " = " in line)
    (product,) = (value for value in types.values() if " dot(" in value)
    return " ".join(types[name.strip()] for name in product.split(" dot(")[1].split(")")[0].split(","))


def test_the_origin_of_a_run_says_how_products_were_compiled():
    assert provenance("bfloat16")["cpu_compiler_options"] == options("bfloat16") != provenance()["cpu_compiler_options"]
