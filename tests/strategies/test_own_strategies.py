"""A strategy is one new file: a module of the user's, or one more in the package's folder; streamed ones too, also on workers."""

import sys

import jax
import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import rankdata

from es_randomized import Evolution, dump, local_evaluator, rng
from es_randomized.cli.show import strategies_command
from es_randomized.config.yaml import parse
from es_randomized.distributed.worker import Worker
from es_randomized.strategies import algorithms
from tests.tools.pages import write_files

TEXT = """
task: {{kind: cycle_colouring, n: 3}}
model: {{width: 2, blocks: 1, hidden: 2}}
batch: {{instances: 2, seeds: 2}}
budget: {{generations: 3}}
driver: {{kind: {kind}, population: 8, std: 0.3, {more}}}
plan: {{chunk: 8}}
seed: 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that modules are found in; what is imported from it is forgotten when the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("es_randomized.compilation.configure", lambda **_: None)  # this process is set up already
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def evolution(kind, more=""):
    return Evolution.of(parse(TEXT.format(kind=kind, more=more)))


def one_generation(made):
    """The losses of generation 0 and the state after it, and that a worker, told by numbers alone, gives the same losses."""
    state = made.init()
    losses, after = made.step(state, 0, local_evaluator(made))
    worker, ask = Worker(dump(made.experiment), None), made.strategy.ask(state, 0)
    worker.ready()
    results = worker.evaluate(0, made.strategy.message(ask), list(range(len(made.chunks)))).results
    np.testing.assert_array_equal(made.in_id_order([made.chunk_of(result) for result in results]), losses)
    return losses, after


def test_a_module_with_a_strategy(folder):
    write_files("your_own_strategy", folder)
    made = evolution("cross_entropy", "elite: 0.5")
    losses, after = one_generation(made)
    members = np.asarray(made.strategy.everyone(made.strategy.ask(made.init(), 0).proposal))
    best = members[np.argsort(losses, kind="stable")[:4]]
    np.testing.assert_allclose(after["mean"], best.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(after["std"], best.std(axis=0) + 1e-3, atol=1e-6)


def by_numpy(made, losses, rate, learning_rate):
    """The update of natural.py in float64, with the whole matrix of noise."""
    mean = np.asarray(made.init()["mean"], np.float64)
    z = np.asarray(jax.random.normal(rng.address(3, rng.Purpose.NOISE, 0), (8, len(mean))), np.float64)
    weights = (rankdata(losses) - 1) / 7 - 0.5
    gradient = 0.3 * weights @ z / 8
    return mean - learning_rate * gradient, 0.3 * np.exp(-rate * weights @ (z**2 - 1) / 8)


SGD = "rate: 0.5, optimizer: {kind: sgd, momentum: 0.0, learning_rate: 0.2}"


@pytest.mark.long
def test_a_module_with_a_rule(folder):
    write_files("your_own_strategy", folder)
    made = evolution("natural", SGD)
    losses, after = one_generation(made)
    mean, std = by_numpy(made, losses, 0.5, 0.2)
    np.testing.assert_allclose(after["mean"], mean, atol=1e-5)
    np.testing.assert_allclose(after["std"], std, atol=1e-5)
    assert np.abs(mean - made.init()["mean"]).max() > 1e-3
    assert evolution("natural", "rank: 1").describe()["noise"].startswith("rank 1")


def test_one_more_file_in_the_package(folder, monkeypatch):
    write_files("your_own_strategy", folder)
    text = (folder / "natural.py").read_text().replace("class Natural", "class Natural_ES")
    (folder / "natural_es.py").write_text(text)
    for other in ("natural", "cross_entropy"):
        (folder / f"{other}.py").unlink()
    monkeypatch.setattr(algorithms, "__path__", [*algorithms.__path__, str(folder)])
    losses, after = one_generation(evolution("Natural_ES", SGD))
    np.testing.assert_allclose(after["mean"], by_numpy(evolution("Natural_ES"), losses, 0.5, 0.2)[0], atol=1e-5)
    listed = CliRunner().invoke(strategies_command, env={"COLUMNS": "200"}).output
    assert "Natural_ES" in listed
    assert "Mean and step sizes go down the natural gradient" in listed
    assert "xNES" in listed
