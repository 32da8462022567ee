"""The fast treasure hunt against a slow twin: one treasure and one seed at a time, and no memory.

The twin gives the float64 transformer all tokens of the hunt so far, anew for every step.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from scipy.sparse import csgraph

from es_randomized.config.yaml import parse
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.tasks.treasure_hunt import TreasureHunt
from tests.tools import transformer_twin as twin
from tests.tools.function_policy import FunctionPolicy

SEEDS = 4
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
SMALL = {"rows": 2, "columns": 3, "steps": 5}
TOP = {"rows": 3, "columns": 3, "steps": 4, "episodes": 3, "start": [0, 1], "obstacles": [[1, 1]]}
CORNER = {"rows": 3, "columns": 3, "steps": 4, "episodes": 3, "obstacles": [[2, 0]]}
SETTINGS = [  # task, model, and seeds of random weights that make hunts of all kinds
    (SMALL | {"episodes": 1}, {"attention": "linear", "blocks": 1, "heads": 2, "key": 3}, (3, 4)),
    (SMALL, {"attention": "linear", "blocks": 2, "stem": 6}, (2, 3)),
    (SMALL, {"attention": "softmax", "blocks": 2, "heads": 2, "key": 3}, (13, 14)),
    (TOP, {"attention": "softmax", "blocks": 1}, (4, 5)),
    (CORNER, {"attention": "linear", "blocks": 1}, (1, 5)),
]


# The twin


def moved(task, place, action):
    row, column = place[0] + MOVES[action][0], place[1] + MOVES[action][1]
    inside = 0 <= row < task.rows and 0 <= column < task.columns
    return [row, column] if inside and [row, column] not in task.obstacles else place


def clock(time):
    angles = [2 * math.pi * time / period for period in (4, 8, 16, 32)]
    return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]


def seed_token(task, seed):
    return [*seed, *[0] * (task.rows + task.columns + 1), *clock(0)]


def step_token(task, place, reward, time):
    row = [int(place[0] == row) for row in range(task.rows)]
    column = [int(place[1] == column) for column in range(task.columns)]
    return [*[0] * task.noise_width, *row, *column, reward, *clock(time)]


class Hunt:
    """One agent, one seed, one treasure or none.

    Attributes:
        found: whether each episode found the treasure.
        margin: how much larger the largest output was than the next one, at the closest decision.
    """

    def __init__(self, task, model, weights, seed, treasure, episodes):
        self.margin = math.inf
        self.found, self.paths, tokens, time = [], [], [seed_token(task, seed)], 0
        for _ in range(episodes):
            place, path = task.start, [task.start]
            while place != treasure and len(path) <= task.steps:
                place = moved(task, place, self.decide(model, weights, tokens))
                path.append(place)
                time += 1
                tokens.append(step_token(task, place, 1.0 if place == treasure else -0.1, time))
            self.found.append(place == treasure)
            self.paths.append(path)
        self.steps = time

    def decide(self, model, weights, tokens):
        scores = twin.outputs(model, weights, np.array(tokens).T, twin.causal)[:, -1]
        *_, second, first = sorted(scores)
        self.margin = min(self.margin, first - second)
        return int(np.argmax(scores))


class Comparison:
    """The kernel and the twin on all treasures, SEEDS seeds and several random policies."""

    def __init__(self, task, model, policies):
        self.task = TreasureHunt(**task, noise_width=2)
        self.model = Transformer(width=6, hidden=6, **model)
        self.seeds = np.random.default_rng(0).normal(size=(2, SEEDS)).astype(np.float32)
        rollout = jax.jit(self.kernel)
        self.results, self.explorers, self.hunts = [], [], []
        for number in policies:
            weights = twin.random_weights(self.model, self.task.interface, number, scale=2.0)
            self.results.append(jax.device_get(rollout(weights, self.seeds)))
            hunters = [[self.hunt(weights, seed, place) for seed in range(SEEDS)] for place in self.treasures()]
            self.hunts.append(hunters)
            self.explorers.append([self.hunt(weights, seed, None) for seed in range(SEEDS)])

    def kernel(self, weights, seeds):
        policy = self.model.policy(weights, self.task.interface)
        bundles = self.task.sample(jax.random.key(0), SEEDS)
        outcome = self.task.rollout(policy, self.task.observe(bundles, seeds))
        return outcome, self.task.first_episode(policy, seeds).cells

    def treasures(self):
        places = [[row, column] for row in range(self.task.rows) for column in range(self.task.columns)]
        return [place for place in places if place not in [self.task.start, *self.task.obstacles]]

    def hunt(self, weights, seed, treasure):
        episodes = 1 if treasure is None else self.task.episodes
        seed = self.seeds[:, seed].tolist()
        return Hunt(self.task, self.model, twin.doubled(weights), seed, treasure, episodes)

    def all_hunts(self):
        return [hunt for hunters in self.hunts for row in hunters for hunt in row]


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def comparison(request):
    return Comparison(*request.param)


def test_no_decision_is_so_close_that_rounding_could_flip_it(comparison):
    assert min(hunt.margin for hunt in comparison.all_hunts()) > 1e-3


def test_every_treasure_and_seed_takes_as_many_steps_as_the_twin(comparison):
    for (outcome, _), hunters in zip(comparison.results, comparison.hunts, strict=True):
        assert outcome.loss.tolist() == [[hunt.steps for hunt in row] for row in hunters]


def test_success_is_to_find_the_treasure_in_every_episode(comparison):
    for (outcome, _), hunters in zip(comparison.results, comparison.hunts, strict=True):
        assert outcome.success.tolist() == [[all(hunt.found) for hunt in row] for row in hunters]


def test_the_first_episode_goes_where_the_twin_goes_when_there_is_no_treasure(comparison):
    columns = comparison.task.columns
    for (_, cells), explorers in zip(comparison.results, comparison.explorers, strict=True):
        paths = [[row * columns + column for row, column in hunt.paths[0]] for hunt in explorers]
        assert cells.T.tolist() == paths


def test_answers_are_equal_where_the_first_paths_are(comparison):
    for outcome, cells in comparison.results:
        assert (outcome.answer == outcome.answer[:1]).all()
        answers, paths = outcome.answer[0].tolist(), list(map(tuple, cells.T.tolist()))
        assert len(set(answers)) == len(set(paths)) == len(set(zip(answers, paths, strict=True)))


def test_the_comparisons_cover_all_kinds_of_hunts(comparison):
    found = {tuple(hunt.found[:2]) for hunt in comparison.all_hunts()}
    second = {(False, False), (False, True), (True, True)}
    assert found >= ({(True,), (False,)} if comparison.task.episodes == 1 else second)
    assert any(len(set(map(tuple, cells.T.tolist()))) > 1 for _, cells in comparison.results)


# Sampled actions


@pytest.fixture(scope="module")
def corridor():
    """A function from the logits of up, down, left and right to outcomes and log-probabilities of 4000 hunters."""
    task, cases = TreasureHunt(rows=1, columns=3, steps=4, noise_width=1), 4000

    def sampled(logits):
        policy = FunctionPolicy(lambda tokens: jnp.broadcast_to(logits[:, None, None], (4, *tokens.shape[1:])))
        observations = task.observe(task.sample(jax.random.key(0), cases), jnp.zeros((1, cases)))
        first = task.first_episode(policy, observations[1], jax.random.key(1))
        return task.sampled_rollout(policy, observations, jax.random.key(1)), first

    return jax.jit(sampled)


def walk(decisions):
    """Log-probability of all actions that were taken."""
    return np.where(decisions.open, decisions.log_probability, 0).sum(axis=0)


def blind(left):
    """Logits of a walk in the corridor, left with this chance and else right."""
    return np.log(np.array([1e-30, 1e-30, left, 1 - left])).astype(np.float32)


def test_the_log_probability_of_a_walk_in_any_direction_is_its_steps_times_log_four(corridor):
    (outcome, decisions), _ = corridor(np.zeros(4, np.float32))
    assert outcome.loss.min() == 2
    assert outcome.loss.max() == 8
    log_probability = walk(decisions)
    np.testing.assert_allclose(log_probability, -outcome.loss * math.log(4), rtol=1e-5)


def test_the_log_probability_sums_over_the_actions_taken_until_each_treasure_is_found(corridor):
    """The treasure next to the start is found by the first step to the right, in either episode."""
    (outcome, decisions), _ = corridor(blind(0.4))
    log_probability = walk(decisions)
    found, steps = np.asarray(outcome.success[0]), np.asarray(outcome.loss[0])
    expected = 2 * math.log(0.6) + (steps - 2) * math.log(0.4)
    np.testing.assert_allclose(np.asarray(log_probability[0])[found], expected[found], rtol=1e-5)


def test_actions_are_sampled_from_the_softmax_in_both_episodes(corridor):
    (outcome, _), _ = corridor(blind(0.4))
    episode = np.array([0, 0.6, 0.4 * 0.6, 0.4**2 * 0.6, 0.4**3])  # chance of 0, 1, ... steps
    chances = np.convolve(episode, episode)[2:]
    counts = np.bincount(np.asarray(outcome.loss[0]).astype(int), minlength=9)[2:]
    assert stats.chisquare(counts, 4000 * chances).pvalue > 1e-3
    rate = (1 - 0.4**4) ** 2
    assert outcome.success[0].mean() == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / 4000))


def test_all_treasures_of_a_seed_share_their_first_episode(corridor):
    (outcome, _), first = corridor(blind(0.4))
    reached = [(np.asarray(first.cells) == column).any(axis=0) for column in (1, 2)]
    for variant in range(2):
        assert not (outcome.success[variant] & ~reached[variant]).any()
        assert outcome.loss[variant][~reached[variant]].min() > 4


def test_all_four_actions_are_sampled_as_often_as_the_softmax_says():
    task, cases = TreasureHunt(rows=3, columns=3, start=[1, 1], steps=1, noise_width=1), 4000
    logits = np.array([0.5, -1.0, 0.0, 1.0], np.float32)
    policy = FunctionPolicy(lambda tokens: jnp.broadcast_to(logits[:, None, None], (4, 1, cases)))
    first = jax.jit(lambda seeds: task.first_episode(policy, seeds, jax.random.key(2)))(np.zeros((1, cases)))
    counts = [int((first.cells[1] == neighbour).sum()) for neighbour in (1, 7, 3, 5)]
    chances = special.softmax(logits.astype(float))
    assert stats.chisquare(counts, cases * chances).pvalue > 1e-3
    for neighbour, chance in zip((1, 7, 3, 5), chances, strict=True):
        np.testing.assert_allclose(first.acts.log_chance[0, first.cells[1] == neighbour], math.log(chance), rtol=1e-5)


# Grids


@pytest.mark.parametrize(
    "settings", [SMALL, TOP, CORNER, {"rows": 4, "columns": 5, "obstacles": [[1, 1], [1, 2], [2, 3]]}]
)
def test_distances_are_those_of_the_grid_s_graph(settings):
    task = TreasureHunt(**settings)
    places = [[row, column] for row in range(task.rows) for column in range(task.columns)]
    free = [place for place in places if place not in task.obstacles]
    adjacent = [[float(math.dist(a, b) == 1) for b in free] for a in free]
    expected = csgraph.shortest_path(np.array(adjacent), unweighted=True)[free.index(task.start)]
    assert [task.grid.distances[places.index(place)] for place in free] == expected.tolist()
    assert [places[cell] for cell in task.treasures] == [place for place in free if place != task.start]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("rows: 3, columns: 2, start: [0, 2]", r"task: start \[0, 2\] lies outside the 3 x 2 grid"),
        ("rows: 3, columns: 2, obstacles: [[3, 0]]", r"task: obstacles \[3, 0\] lies outside the 3 x 2 grid"),
        ("start: [1, 1], obstacles: [[0, 1], [1, 1]]", r"task: start \[1, 1\] is an obstacle"),
        (
            "rows: 2, columns: 3, obstacles: [[0, 1], [1, 1]]",
            "task: 2 of 3 possible treasures cannot be reached from the start; use a larger grid or move the obstacles",
        ),
    ],
)
def test_a_grid_that_cannot_be_hunted_on_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(f"task: {{kind: treasure_hunt, {settings}}}")
