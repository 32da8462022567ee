"""Whether two runs found the same algorithm: answers against counting, matched units against permuted copies."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from es_randomized.config.yaml import load
from es_randomized.drivers.layout import first_weights
from es_randomized.evaluation.answers import answer_distance, total_variation
from es_randomized.evaluation.compare import compare_runs
from es_randomized.evaluation.line import barrier, line_between, matched
from es_randomized.evaluation.of_runs import Trained
from es_randomized.fitness import unraveller
from es_randomized.report.comparison import same_algorithm
from tests.models.test_every_model import MODELS, experiment
from tests.tools import transformer_twin as twin

GRADIENT = Path(__file__).parents[1] / "tiny_gradient.yaml"


def counted(a, b):
    shares = [{answer: n / len(row) for answer, n in Counter(row.tolist()).items()} for row in (a, b)]
    return sum(abs(shares[0].get(answer, 0) - shares[1].get(answer, 0)) for answer in {*shares[0], *shares[1]}) / 2


def test_total_variation_is_that_of_counted_answers():
    generator = np.random.default_rng(1)
    a, b = generator.integers(-3, 3, (40, 7)), generator.integers(-2, 5, (40, 12))
    a[0], b[0] = 2**31 - 1, -(2**31)
    expected = [counted(*rows) for rows in zip(a, b, strict=True)]
    np.testing.assert_allclose(total_variation(a, b), expected, atol=1e-12)
    assert expected[0] == 1


def test_two_samples_of_one_distribution_are_no_farther_apart_than_its_halves():
    generator = np.random.default_rng(2)
    found, shares = [], np.array([0.4, 0.3, 0.2, 0.1])
    for _ in range(40):
        a, b = (generator.choice(4, (20, 60), p=shares) for _ in range(2))
        alike = answer_distance(a, b, 0.9)
        assert alike.distance.mean() == pytest.approx(alike.chance.mean(), abs=0.03)
        found.append(alike.differ)
    assert np.mean(found) < 0.15  # one side of a 90 % interval


def test_distributions_a_little_apart_are_told_apart_and_by_how_much():
    generator = np.random.default_rng(3)
    a, b = (generator.choice(2, (100, 300), p=[p, 1 - p]) for p in (0.5, 0.8))
    apart = answer_distance(a, b, 0.95)
    assert apart.differ
    assert apart.distance.mean() == pytest.approx(0.3, abs=0.03)
    assert apart.chance.mean() < 0.07


def test_frozen_seeds_are_compared_exactly_and_few_seeds_tell_nothing():
    a, b = np.array([[1], [2], [3]]), np.array([[1], [2], [4]])
    assert answer_distance(a, b, 0.95).excess == (pytest.approx(1 / 3),) * 3
    assert answer_distance(a, a, 0.95).differ is False
    assert answer_distance(np.tile(a, 4), np.tile(b, 4), 0.95).differ is None
    mixed = answer_distance(a, np.tile([1, 9], (3, 20)), 0.95)
    assert mixed.distance.tolist() == [0.5, 1, 1]
    assert mixed.differ


SLOW = ("delta_rnn", "recurrent_delta", "hypernetwork", "gated_linear", "linear_attention")  # to compile


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.long) if kind in SLOW else kind for kind in MODELS]
)
def test_swapped_units_change_no_output_and_are_put_back(kind):
    made = experiment(kind, "ring" if MODELS[kind][1] else "store")
    model, interface = made.model, made.task.interface
    if kind in ("transformer", "delta"):
        model = replace(model, heads=2, stem=5, key=2)
    weights = twin.random_weights(model, interface, 1)
    units = model.interchangeable(interface)
    assert len(units) > 2
    swapped, generator = weights, np.random.default_rng(2)
    for each in units:
        order = generator.permutation(each.count)
        for path, axes in each.axes.items():
            for axis in axes:
                swapped = changed(swapped, path, lambda leaf, a=axis, o=order: in_order(leaf, a, o))
    assert not np.array_equal(ravel_pytree(swapped)[0], ravel_pytree(weights)[0])
    tokens = generator.normal(size=(interface.features, interface.nodes, 3)).astype(np.float32)
    outputs = jax.jit(lambda weights: model.policy(weights, interface)(jnp.asarray(tokens)))
    np.testing.assert_allclose(outputs(swapped), outputs(weights), rtol=1e-4, atol=1e-4)
    back = matched(weights, swapped, units)
    assert jax.tree.structure(back) == jax.tree.structure(weights)
    np.testing.assert_array_equal(ravel_pytree(back)[0], ravel_pytree(weights)[0])


def in_order(leaf, axis, order):
    """Blocks of a leaf along an axis, split and joined again."""
    return np.concatenate([np.split(leaf, len(order), axis)[unit] for unit in order], axis)


def changed(tree, path, change):
    if not path:
        return change(tree)
    first, *rest = path
    if isinstance(tree, list):
        return [changed(part, rest, change) if place == first else part for place, part in enumerate(tree)]
    return tree | {first: changed(tree[first], rest, change)}


def test_the_loss_on_the_line_is_flat_between_permuted_copies_after_matching():
    made = load(GRADIENT)
    flat = 2 * first_weights(made)[0]
    model, whole = made.model, unraveller(made.model, made.task)
    swapped = whole(flat)
    for units in model.interchangeable(made.task.interface):
        for path, axes in units.axes.items():
            for axis in axes:
                order = np.roll(np.arange(units.count), 1)
                swapped = changed(swapped, path, lambda leaf, a=axis, o=order: in_order(leaf, a, o))
    run, other = Trained(made, flat, "a"), Trained(made, ravel_pytree(swapped)[0], "b")
    found = compare_runs(run, other)
    line = found.line
    np.testing.assert_allclose(line.after, line.after[0], rtol=1e-5)
    assert np.ptp(line.before) > 100 * np.ptp(line.after)
    np.testing.assert_allclose(line.before[[0, -1]], line.after[[0, -1]], rtol=1e-5)
    assert found.answers.differ is False
    assert same_algorithm(found)[0].startswith(("The same algorithm", "No difference between the algorithms was found"))
    assert same_algorithm(found)[1].endswith("after their units are matched by 0.00.")
    assert "models differ" in same_algorithm(replace(found, line=None))[1]


def test_the_barrier_is_measured_from_the_line_between_the_ends():
    assert barrier(np.array([1.0, 4.0, 2.0])) == pytest.approx(2.5)
    assert barrier(np.array([1.0, 0.5, 2.0])) == 0


def test_a_model_that_says_nothing_of_its_units_has_a_line_before_matching_only(monkeypatch):
    made = load(GRADIENT)
    monkeypatch.setattr(type(made.model), "interchangeable", lambda self, interface: [])
    flat = first_weights(made)[0]
    assert line_between(made, flat, -flat).after is None
