"""Every kind of model with every task it can do: traced, not run; a new kind must join in. Settings, checkpoints, a short run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import driver_of, local_evaluator, train
from es_randomized.config.kinds import names
from es_randomized.config.sections import Batch, Budget, Plan
from es_randomized.config.yaml import build, dump, parse
from es_randomized.perturbed import Perturbed
from tests.models.test_precision import equations

TASKS = {
    "ring": "kind: cycle_colouring, n: 5",
    "store": "kind: associative_recall, n: 3, bits: 2, noise_width: 2",
    "steps": "kind: treasure_hunt, rows: 2, columns: 2, steps: 4, noise_width: 2",
}
SMALL = "width: 4, blocks: 1, hidden: 4, precision: PRECISION"
MODELS = {  # settings of a small one, and whether it knows cycles
    "delta": (f"{SMALL}, key: 2", False),
    "delta_rnn": (f"{SMALL}, key: 2", False),
    "gated_linear": (f"{SMALL}, key: 2", False),
    "gated_rnn": (f"{SMALL}, units: 4", False),
    "hypernetwork": (f"policies: 2, hidden: 3, base: {{{SMALL}}}", True),
    "linear_attention": (f"{SMALL}, key: 2", True),
    "looped": (f"loops: 2, block: {{{SMALL}}}", True),
    "recurrent_delta": (f"{SMALL}, key: 2", False),
    "rg_lru": (f"{SMALL}, units: 4", False),
    "transformer": (SMALL, True),
}
CASES = [(kind, task) for kind, (_, cycles) in MODELS.items() for task in TASKS if cycles or task != "ring"]


def experiment(kind, task, precision="float32", driver="kind: gradient"):
    settings = MODELS[kind][0].replace("PRECISION", precision)
    chosen = parse(f"task: {{{TASKS[task]}}}\nmodel: {{kind: {kind}, {settings}}}\ndriver: {{{driver}}}")
    batch = Batch(instances=2 * chosen.task.bundle, seeds=2)
    return replace(chosen, batch=batch, budget=Budget(generations=2), plan=Plan(chunk=4, tile=2))


def thin(weights):
    """The shapes of the weights with every matrix as a low-rank member's."""

    def of(leaf):
        *stack, out, inner = leaf.shape
        parts = leaf.shape, (*stack, out, 1), (*stack, inner, 1)
        return Perturbed(*(jax.ShapeDtypeStruct(shape, np.float32) for shape in parts))

    return jax.tree.map(lambda leaf: of(leaf) if len(leaf.shape) > 1 else leaf, weights)


def test_every_kind_is_here():
    assert sorted(MODELS) == names("model")


@pytest.mark.parametrize(("kind", "task"), CASES)
def test_low_rank_members_and_derivatives_have_programs_of_bfloat16_products(kind, task):
    made = experiment(kind, task, "bfloat16")
    interface, model, cases = made.task.interface, made.model, 2

    def outputs(weights, tokens):
        policy = model.policy(weights, interface)
        return jnp.sum(policy.step(policy.empty(cases), tokens[:, 0], 0)[0] if interface.horizon else policy(tokens))

    tokens = jax.ShapeDtypeStruct((interface.features, interface.nodes, cases), np.float32)
    weights = model.shapes(interface)
    derivative = [(jax.grad(outputs), weights)] if task == "store" else []
    for program, given in [(outputs, thin(weights)), *derivative]:
        found = equations(jax.make_jaxpr(program)(given, tokens).jaxpr)
        products = [each for each in found if each.primitive.name == "dot_general"]
        assert len(products) > 4
        assert {operand.aval.dtype.name for each in products for operand in each.invars} == {"bfloat16"}
    assert model.bytes_per_case(interface) >= 4 * model.memory(interface) or kind == "transformer"


@pytest.mark.parametrize("kind", MODELS)
def test_its_settings_are_written_and_read_back(kind):
    written = dump(experiment(kind, "store"))
    assert written["model"]["kind"] == kind
    assert build(written) == experiment(kind, "store")


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in ("looped", "hypernetwork")])
def test_every_matrix_entry_counts_two_operations(kind):
    made = experiment(kind, "steps")
    shapes = jax.tree.leaves(made.model.shapes(made.task.interface))
    assert made.model.flops(made.task.interface) == 2 * sum(leaf.size for leaf in shapes if len(leaf.shape) > 1)


def test_two_generations_of_low_rank_members_move_the_weights():
    trained = driver_of(experiment("delta", "store", driver="kind: Open_ES, population: 4, std: 0.1, rank: 1"))
    first = trained.init()
    *_, last = train(trained, local_evaluator(trained), first)
    assert np.isfinite(last.losses).all()
    assert (np.asarray(trained.centre(last.state)) != np.asarray(trained.centre(first))).any()
