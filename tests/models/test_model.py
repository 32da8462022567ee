"""A model of a user's own, in one file: it is trained, scored and put to work like the package's. What a model may refuse."""

from dataclasses import dataclass, replace
from importlib import import_module

import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized import Evolution, LocalEvaluator, driver_of, dump, evaluate, local_evaluator, train
from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Batch, Budget, Evaluation, Plan
from es_randomized.config.yaml import parse
from es_randomized.connectivity import Connectivity, Ring, Store
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.errors import ConfigError
from es_randomized.evaluation.evaluate import runner_of
from es_randomized.evaluation.randomness import repeated_runs
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.fitness import parameters
from es_randomized.models.model import Model
from es_randomized.models.transformer import Transformer
from es_randomized.policy import Interface
from es_randomized.settings import settings
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.treasure_hunt import TreasureHunt

MODULE = '''
"""Every node for itself: an MLP that ignores the other nodes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from es_randomized.models.model import Model
from es_randomized.policy import Interface, Memoryless, Weights
from es_randomized.settings import settings


@settings
class Loner(Model):
    hidden: int = 6

    def init(self, key, interface):
        up, down = jax.random.split(key)
        return {
            "down": jax.random.normal(down, (interface.outputs, self.hidden)),
            "up": jax.random.normal(up, (self.hidden, interface.features)),
        }

    def policy(self, weights, interface):
        return LonerPolicy(weights, interface.connectivity.silent)

    def receptive_field(self, interface):
        return 0

    def dropout(self, weights, key, rate):
        kept = jax.random.bernoulli(key, 1 - rate, (self.hidden,))
        return weights | {"down": weights["down"] * jnp.where(kept, 1 / (1 - rate), 0.0)[None]}


@dataclass(frozen=True)
class LonerPolicy(Memoryless):
    weights: Weights
    silent: int

    def __call__(self, tokens):
        read = tokens[:, self.silent :]
        outputs = self.weights["down"] @ jax.nn.relu(self.weights["up"] @ read.reshape(len(read), -1))
        return outputs.reshape(-1, *read.shape[1:])
'''
COLOURING, HIDDEN = CycleColouring(n=5), 6
TASKS = {"ring": COLOURING, "store": AssociativeRecall(n=3, bits=2), "steps": TreasureHunt(rows=2, columns=2, steps=3)}
DRIVERS = {
    "dense": Open_ES.Settings(population=4, std=0.1),
    "rank 1": Open_ES.Settings(population=4, std=0.1, rank=1),
    "gradient": GradientSettings(),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model of the module, whose name is my_model."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_model.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield import_module("my_model").Loner(hidden=HIDDEN)


def experiment(model, driver="dense", task="ring", **changes):
    chosen, side_by_side = TASKS[task], 2 if driver == "rank 1" else 1
    return Experiment(
        task=chosen,
        model=model,
        driver=DRIVERS[driver],
        batch=Batch(instances=2 * chosen.bundle, seeds=2),
        budget=Budget(generations=2),
        evaluation=Evaluation(seeds=20, votes=[]),
        plan=Plan(block=side_by_side, chunk=4),
        **changes,
    )


@pytest.mark.parametrize(
    ("driver", "task"),
    [("dense", "ring"), ("rank 1", "ring"), ("gradient", "ring"), ("dense", "store"), ("dense", "steps")],
)
def test_two_generations_move_the_weights(model, driver, task):
    trained = driver_of(experiment(model, driver, task))
    first = trained.init()
    *_, last = train(trained, local_evaluator(trained), first)
    assert last.generation == 1
    assert np.isfinite(last.losses).all()
    assert (np.asarray(trained.centre(last.state)) != np.asarray(trained.centre(first))).any()


def test_what_it_costs_is_read_off_its_weights_unless_it_says_otherwise(model):
    interface = COLOURING.interface
    weights = HIDDEN * (interface.features + interface.outputs)
    assert parameters(model, COLOURING) == weights
    assert model.flops(interface) == 2 * weights
    assert model.bytes_per_case(interface) == 4 * 5 * HIDDEN
    with_keys = Transformer(width=3, hidden=2, blocks=2, heads=2, key=1)
    matrices = 3 * (6 + 3) + 2 * (2 * 4 * 3 + 2 * 3 * 2)
    assert with_keys.flops(interface) == 2 * matrices


def right(weights, seeds):
    """Whether every cycle is coloured properly with every seed [noise, vertex, run], in NumPy: [instance, run]."""
    down, up = weights[: 3 * HIDDEN].reshape(3, HIDDEN), weights[3 * HIDDEN :].reshape(HIDDEN, 6)
    tokens = np.stack([np.append(np.eye(5)[vertex], noise) for vertex in range(5) for noise in seeds[0, vertex]])
    colours = (down @ np.maximum(up @ tokens.T, 0)).argmax(axis=0).reshape(5, -1)
    around = colours[COLOURING.enumerate()]
    return (around != np.roll(around, 1, axis=0)).all(axis=0)


@pytest.fixture(scope="module")
def weights(model):
    draws = np.random.default_rng(12).normal(size=parameters(model, COLOURING))
    return jnp.asarray(draws, jnp.float32)


def test_it_is_scored_as_numpy_says(model, weights):
    whole = experiment(model)
    assert runner_of(whole) is WindowOutcomes  # windows of one node: it knows nothing of its neighbours
    seeds = repeated_runs(whole, weights[None], "seed", 20).seeds
    expected = right(np.asarray(weights), np.asarray(seeds)).mean(axis=1)
    assert 0 < expected.mean() < 1
    np.testing.assert_allclose(evaluate(whole, weights).success, expected)


def test_its_units_are_dropped_as_it_says(model, weights):
    whole = experiment(model)
    runs = repeated_runs(whole, weights[None], "dropout", 20)
    kept = np.asarray(runs.weights)[:, : 3 * HIDDEN] / np.asarray(weights)[: 3 * HIDDEN]
    np.testing.assert_allclose(kept, np.where(kept < 0.5, 0, 1 / 0.9), rtol=1e-5)
    assert 0 < (kept == 0).mean() < 0.3
    seed = np.asarray(runs.seeds)
    expected = np.concatenate([right(one, seed) for one in np.asarray(runs.weights)], axis=1).mean(axis=1)
    np.testing.assert_allclose(evaluate(whole, weights, randomness="dropout").success, expected)


def test_a_worker_finds_it_by_the_name_of_its_module(model, monkeypatch):
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    evolution = Evolution.of(experiment(model))
    tree = dump(evolution.experiment)
    assert tree["model"] == {"kind": "my_model", "hidden": HIDDEN}
    assert parse("task: {kind: cycle_colouring}\nmodel: {kind: my_model}").model == model
    worker, ask = Worker(tree, None), evolution.strategy.ask(evolution.init(), 0)
    worker.ready()
    (losses,) = worker.evaluate(0, evolution.strategy.message(ask), [0]).results
    expected = LocalEvaluator(evolution).evaluate(ask)
    chunk = np.frombuffer(losses, np.float32).reshape(2, 2)
    np.testing.assert_array_equal(evolution.in_id_order([chunk]), expected)


# What is refused


@dataclass(frozen=True)
class Torus(Connectivity):
    """A connectivity of a user's own."""


@settings
class OnATorus(CycleColouring):
    @property
    def interface(self):
        return replace(super().interface, connectivity=Torus())


def test_a_connectivity_that_a_model_does_not_know_is_refused_by_name():
    message = "a transformer does not know the connectivity Torus; it can do Single, Ring, Causal and Store"
    with pytest.raises(ConfigError, match=message):
        Experiment(task=OnATorus())


def test_a_model_without_dropout_says_so(model, weights):
    @settings
    class Stubborn(type(model)):
        dropout = Model.dropout

    with pytest.raises(ConfigError, match="Stubborn says of none of its units how to drop them"):
        repeated_runs(experiment(Stubborn(hidden=HIDDEN)), weights[None], "dropout", 20)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"nodes": 5}, "an interface of 5 nodes must say which see which, as in connectivity=Ring()"),
        ({"nodes": 5, "connectivity": Store(5)}, r"Store\(stored=5\) leaves no output to read of 5 nodes"),
    ],
)
def test_interfaces_that_make_no_sense_are_refused(nodes, message):
    with pytest.raises(ConfigError, match=message.replace("Ring()", r"Ring\(\)")):
        Interface(features=1, outputs=1, **nodes)
    Interface(features=1, outputs=1, nodes=5, connectivity=Ring())
