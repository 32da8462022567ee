"""Associative recall against a float64 twin of one causal sequence: all pairs and then one query."""

import math

import jax
import numpy as np
import pytest

from es_randomized import Experiment, Gradient
from es_randomized.drivers.gradient import GradientSettings
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.tasks.associative_recall import AssociativeRecall
from tests.tools import transformer_twin as twin

CASES = 3
SETTINGS = [
    ({"n": 2, "bits": 1, "noise_width": 1}, {"blocks": 1, "attention": "softmax"}),
    ({"n": 4, "bits": 3, "noise": "normal"}, {"blocks": 2, "heads": 2, "key": 5, "attention": "linear", "stem": 6}),
    ({"n": 3, "bits": 2}, {"blocks": 2, "heads": 2, "attention": "softmax", "stem": 6}),
    ({"n": 5, "bits": 2, "noise": "uniform"}, {"blocks": 1, "key": 5, "attention": "softmax"}),
    ({"n": 3, "bits": 5, "noise_width": 2}, {"blocks": 3, "attention": "linear"}),
]


class Rollout:
    """One call of the kernel: CASES stores, each with a seed of its own."""

    def __init__(self, task, model):
        self.task = AssociativeRecall(**task)
        self.model = Transformer(width=8, hidden=8, **model)
        self.weights = twin.random_weights(self.model, self.task.interface, 1)
        generator = np.random.default_rng(2)
        self.stores = generator.integers(0, 2**self.task.bits, (self.task.n, CASES)).astype(np.int32)
        self.seeds = generator.normal(size=(self.task.noise_width, CASES)).astype(np.float32)

        def kernel(weights, stores, seeds):
            policy = self.model.policy(weights, self.task.interface)
            observations = self.task.observe(stores, seeds)
            return observations[0], policy(observations[0]), self.task.rollout(policy, observations)

        results = jax.jit(kernel)(self.weights, self.stores, self.seeds)
        self.tokens, self.logits, self.outcome = jax.device_get(results)
        self.expected = {(case, query): self.twin(case, query) for case in range(CASES) for query in range(self.task.n)}

    def bits(self, value):
        return [value // 2**place % 2 for place in range(self.task.bits)]

    def sequence(self, case, query):
        """Tokens [feature, node] of the pairs and one query."""
        seed = self.seeds[:, case].tolist()
        columns = []
        for key in range(self.task.n):
            columns.append([*self.bits(self.stores[key, case]), *one_hot(key, self.task.n), *seed])
        columns.append([*[0] * self.task.bits, *one_hot(query, self.task.n), *seed])
        return np.array(columns, np.float64).T

    def twin(self, case, query):
        """Logits of the bits."""
        sequence = self.sequence(case, query)
        return twin.outputs(self.model, twin.doubled(self.weights), sequence, twin.causal)[:, -1].tolist()


def one_hot(index, size):
    return [int(index == other) for other in range(size)]


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def rollout(request):
    return Rollout(*request.param)


def test_every_query_of_a_bundle_gets_the_logits_of_its_own_causal_sequence(rollout):
    assert rollout.logits.shape == (rollout.task.bits, rollout.task.n, CASES)
    for (case, query), logits in rollout.expected.items():
        np.testing.assert_allclose(rollout.logits[:, query, case], logits, rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_mean_cross_entropy_of_the_bits(rollout):
    for (case, query), logits in rollout.expected.items():
        chances = [1 / (1 + math.exp(-logit)) for logit in logits]
        bits = rollout.bits(rollout.stores[query, case])
        entropies = [-math.log(chance if bit else 1 - chance) for chance, bit in zip(chances, bits, strict=True)]
        assert float(rollout.outcome.loss[query, case]) == pytest.approx(np.mean(entropies), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("task", "model"), SETTINGS[:2], ids=str)
def test_the_error_counts_answers_with_a_wrong_bit(task, model):
    rollout = Rollout(task | {"loss": "error"}, model)
    for (case, query), logits in rollout.expected.items():
        bits = rollout.bits(rollout.stores[query, case])
        wrong = any(bit != (logit > 0) for bit, logit in zip(bits, logits, strict=True))
        assert float(rollout.outcome.loss[query, case]) == wrong
    assert (rollout.task.loss_bounds, rollout.task.differentiable) == ((0, 1), False)


def test_gradient_descent_refuses_to_minimise_errors():
    experiment = Experiment(task=AssociativeRecall(n=3, loss="error"), driver=GradientSettings())
    with pytest.raises(ConfigError, match=r"its loss has no gradient .*; use an evolution strategy"):
        Gradient.of(experiment)


def test_the_answer_is_the_number_of_the_likelier_bits_and_success_is_the_stored_value(rollout):
    for (case, query), logits in rollout.expected.items():
        assert min(map(abs, logits)) > 1e-3  # so that rounding cannot flip a bit
        answer = sum(2**place for place, logit in enumerate(logits) if logit > 0)
        assert int(rollout.outcome.answer[query, case]) == answer
        assert bool(rollout.outcome.success[query, case]) == (answer == rollout.stores[query, case])


def test_the_seed_is_on_every_token(rollout):
    width = rollout.task.noise_width
    assert rollout.tokens.shape == (rollout.task.interface.features, 2 * rollout.task.n, CASES)
    for token in range(2 * rollout.task.n):
        np.testing.assert_array_equal(rollout.tokens[-width:, token], rollout.seeds)


def test_some_answers_of_these_random_policies_are_right_and_some_are_wrong():
    success = Rollout(*SETTINGS[0]).outcome.success
    assert 0 < success.mean() < 1


# Instances and seeds


@pytest.mark.parametrize(("n", "bits"), [(3, 1), (2, 3)])
def test_in_every_group_of_the_evaluation_sample_each_key_holds_each_value_once(n, bits):
    task, groups = AssociativeRecall(n=n, bits=bits), 3
    stores = np.asarray(task.evaluation_sample(jax.random.key(0), groups * 2**bits))
    assert stores.shape == (n, groups * 2**bits)
    for group in np.split(stores, groups, axis=1):
        np.testing.assert_array_equal(np.sort(group, axis=1), np.tile(np.arange(2**bits), (n, 1)))
    assert len(np.unique(stores ^ stores[:1], axis=1).T) > 1  # groups are not all shifts of one store
    cut = task.evaluation_sample(jax.random.key(0), groups * 2**bits - 1)
    np.testing.assert_array_equal(cut, stores[:, :-1])


def test_samples_are_uniform_over_values_and_independent_between_keys():
    stores = np.asarray(AssociativeRecall(n=2, bits=2).sample(jax.random.key(3), 8000))
    counts = np.bincount(4 * stores[0] + stores[1], minlength=16)
    assert len(counts) == 16
    assert np.abs(counts - 500).max() < 4 * math.sqrt(500)


def test_labels_go_bundle_by_bundle():
    stores = np.array([[10, 20], [11, 21], [12, 22]], np.int32)
    labels = AssociativeRecall(n=3).labels(stores)
    assert labels["query"].tolist() == [0, 1, 2, 0, 1, 2]
    assert labels["value"].tolist() == [10, 11, 12, 20, 21, 22]


@pytest.mark.parametrize(
    ("noise", "mean", "deviation"),
    [("uniform", 0.5, 12**-0.5), ("normal", 0.0, 1.0), ("bits", 0.5, 0.5), ("signs", 0.0, 1.0)],
)
def test_seeds_have_the_stated_distribution(noise, mean, deviation):
    task = AssociativeRecall(noise=noise, noise_width=4)
    values = np.asarray(task.seeds(jax.random.key(7), 4000), np.float64)
    assert values.shape == (4, 4000)
    assert values.mean() == pytest.approx(mean, abs=4 * deviation / values.size**0.5)
    assert values.std() == pytest.approx(deviation, abs=0.02)
    assert np.abs(np.corrcoef(values) - np.eye(4)).max() < 0.07
    both = {"bits": {0.0, 1.0}, "signs": {-1.0, 1.0}}
    assert noise not in both or set(np.unique(values)) == both[noise]


def test_signs_are_the_bits_of_the_same_key():
    bits, signs = (AssociativeRecall(noise=noise).seeds(jax.random.key(5), 50) for noise in ("bits", "signs"))
    np.testing.assert_array_equal(signs, np.where(np.asarray(bits) == 1, 1, -1))
