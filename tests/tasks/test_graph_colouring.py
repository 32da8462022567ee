"""Colouring of graphs against a slow twin: one graph and one seed at a time, vertex by vertex, token by token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from es_randomized.config.yaml import dump, parse
from es_randomized.errors import ConfigError
from es_randomized.models.transformer import Transformer
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.graph_colouring import GraphColouring
from tests.tools import transformer_twin as twin

MODEL = Transformer(width=5, hidden=5, blocks=1, key=3)
TASKS = [
    GraphColouring(graph="grid", n=4, rows=2, rounds=3, noise_width=2),
    GraphColouring(graph="regular", n=4, degree=2, rounds=2, identifiers=False),
]
CYCLE = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]


def scores_of(task, weights, graph, seed):
    """Of all colours and vertices after the last round."""
    n, colours = task.n, task.palette
    tokens, chances = [[] for _ in range(n)], np.zeros((n, colours))
    for time in range(task.rounds):
        heard = [sum((chances[u] for u in range(n) if graph[u, v]), np.zeros(colours)) for v in range(n)]
        for v in range(n):
            name = np.eye(n)[v] if task.identifiers else []
            tokens[v].append([*seed[:, time, v], *name, *chances[v], *heard[v], *np.eye(task.rounds)[time]])
        scores = np.array([twin.outputs(MODEL, weights, np.array(each).T, twin.causal)[:, -1] for each in tokens])
        chances = special.softmax(scores, axis=1)
    return scores


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.graph)
def test_losses_and_answers_are_those_of_the_twin(task):
    graphs = task.enumerate()
    cases = graphs.shape[-1]
    seeds = np.random.default_rng(1).normal(size=(task.noise_width, task.rounds, task.n, cases)).astype(np.float32)
    weights = twin.random_weights(MODEL, task.interface, 3, scale=2.0)

    def both(weights, seeds):
        policy, observed = MODEL.policy(weights, task.interface), task.observe(jnp.asarray(graphs), seeds)
        log_chances = task.log_chances(policy, observed)
        return task.rollout(policy, observed), log_chances, task.decide(log_chances, observed)

    outcome, log_chances, decided = jax.jit(both)(weights, seeds)
    for case in range(cases):
        graph = graphs[..., case]
        scores = scores_of(task, twin.doubled(weights), graph, seeds[..., case])
        chances, colours = special.softmax(scores, axis=1), scores.argmax(axis=1)
        edges = [(a, b) for a in range(task.n) for b in range(a) if graph[a, b]]
        assert outcome.loss[0, case] == pytest.approx(sum(chances[a] @ chances[b] for a, b in edges), rel=1e-4)
        assert (
            bool(outcome.success[0, case]) == bool(decided[0, case]) == all(colours[a] != colours[b] for a, b in edges)
        )
        assert outcome.answer[0, case] == sum(int(c) * task.palette**v for v, c in enumerate(colours))
        np.testing.assert_allclose(log_chances[..., case], np.log(chances).T, atol=1e-4)


def test_a_cycle_of_edges_has_the_instances_of_the_cycles():
    graphs = GraphColouring(graph="edges", n=5, edges=CYCLE).enumerate()
    cycles = {
        frozenset(frozenset(pair) for pair in zip(c, np.roll(c, 1), strict=True))
        for c in CycleColouring(n=5).enumerate().T
    }
    found = {frozenset(map(frozenset, np.argwhere(graphs[..., place]))) for place in range(graphs.shape[-1])}
    assert {frozenset(map(frozenset, graph)) for graph in found} == {
        frozenset(map(frozenset, cycle)) for cycle in cycles
    }


@pytest.mark.parametrize(
    "task",
    [GraphColouring(graph="grid", n=6, rows=2), GraphColouring(graph="regular", n=6, degree=3)],
    ids=lambda task: task.graph,
)
def test_samples_are_uniform_among_all(task):
    graphs, count = task.enumerate(), 1500
    drawn = np.asarray(jax.jit(task.sample, static_argnums=1)(jax.random.key(1), count))
    every = [graphs[..., place].tobytes() for place in range(graphs.shape[-1])]
    found = [np.ascontiguousarray(drawn[..., place]).tobytes() for place in range(count)]
    counts = [found.count(graph) for graph in every]
    assert sum(counts) == count
    assert stats.chisquare(counts).pvalue > 1e-3


def test_large_regular_graphs_are_simple_and_keep_their_degree():
    task = GraphColouring(graph="regular", n=12, degree=4)
    drawn = np.asarray(jax.jit(task.sample, static_argnums=1)(jax.random.key(0), 8))
    assert task.enumerate() is None
    assert (drawn.sum(axis=0) == 4).all()
    assert (drawn == drawn.transpose(1, 0, 2)).all()
    assert not drawn[np.arange(12), np.arange(12)].any()
    assert len({graph.tobytes() for graph in np.moveaxis(drawn, -1, 0)}) == 8


# References and settings


def test_references_are_on_the_graphs_of_the_task():
    rows = {row.name: row for row in GraphColouring(graph="regular", n=6, degree=3, rounds=4).references()}
    guessed = rows["one-shot random colours"]
    assert guessed.average == pytest.approx((60 * 0.064453125 + 10 * 420 / 4096) / 70)  # prisms and the K3,3
    assert guessed.worst == pytest.approx(0.064453125)
    (name,) = [name for name in rows if name.startswith("recolouring, 24 steps (until proper ")]
    assert 0.99 < rows[name].worst <= rows[name].average < 1
    assert {row.kind for row in rows.values()} == {"algorithm"}
    first, *_ = GraphColouring(n=3, rounds=3).references()
    assert (first.kind, first.worst) == ("exact", 1.0)


def test_edges_of_a_file_become_a_part_of_the_task(tmp_path):
    file = tmp_path / "graph.txt"
    file.write_text("# a star\n0 1\n0, 2\n\n0 3 # the last one\n")
    experiment = parse(f"task: {{kind: graph_colouring, graph: edges, n: 4, edges: {file}}}")
    assert experiment.task == GraphColouring(graph="edges", n=4, edges=[[0, 1], [0, 2], [0, 3]])
    assert dump(experiment)["task"]["edges"] == [[0, 1], [0, 2], [0, 3]]
    file.write_text("0 1\n0 - 2\n")
    with pytest.raises(ConfigError, match=r"task.edges: line 2 of .*graph.txt should be two numbers of vertices"):
        parse(f"task: {{kind: graph_colouring, graph: edges, n: 4, edges: {file}}}")
    with pytest.raises(ConfigError, match=r"task.edges: cannot read .*none.txt"):
        parse(f"task: {{kind: graph_colouring, graph: edges, n: 4, edges: {tmp_path / 'none.txt'}}}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("graph: grid", "task: graph: grid needs rows"),
        ("graph: path, degree: 3", "task: graph: path has no degree"),
        ("graph: grid, n: 6, rows: 4", "task: a grid of n=6 vertices cannot have 4 rows; use a divisor of 6"),
        ("graph: regular, n: 5, degree: 3", "task: no graph of 5 vertices has degree 3 everywhere"),
        ("graph: edges, edges: []", "task: edges is empty"),
        ("graph: edges, n: 3, edges: [[0, 3]]", r"task: edge \[0, 3\] should join two different vertices of 0 to 2"),
        (
            "graph: regular, n: 6, degree: 3, colours: 3",
            "task: colours is 3, but the largest degree is 3, so that 4 may",
        ),
    ],
)
def test_what_is_no_graph_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(f"task: {{kind: graph_colouring, {settings}}}")
