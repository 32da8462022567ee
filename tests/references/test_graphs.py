"""Graphs against going through everything; recolouring against the paper's numbers and the cycles'."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from es_randomized.references import colouring, graphs, recolouring

CYCLE = graphs.circulant(5, 2)


def edges_of(graph):
    return frozenset((int(a), int(b)) for a, b in np.argwhere(np.triu(graph)))


def all_of(listed):
    return sorted(sorted(edges_of(listed[..., place])) for place in range(listed.shape[-1]))


@pytest.mark.parametrize("graph", [graphs.grid(1, 5), graphs.grid(2, 3), CYCLE], ids=["path", "grid", "cycle"])
def test_relabellings_are_the_images_under_all_permutations(graph):
    edges, n = sorted(edges_of(graph)), len(graph)
    images = {frozenset(tuple(sorted((p[a], p[b]))) for a, b in edges) for p in permutations(range(n))}
    assert all_of(graphs.relabellings(n, tuple(edges))) == sorted(map(sorted, images))


@pytest.mark.parametrize(("n", "degree"), [(4, 1), (4, 2), (4, 3), (5, 2), (6, 3)])
def test_regular_graphs_are_all_sets_of_edges_with_these_degrees(n, degree):
    pairs = list(combinations(range(n), 2))
    sets = combinations(pairs, n * degree // 2)
    expected = [s for s in sets if all(sum(v in pair for pair in s) == degree for v in range(n))]
    assert all_of(graphs.regular(n, degree)) == sorted(map(list, expected))
    assert (graphs.circulant(n, degree).sum(axis=0) == degree).all()


def test_too_many_graphs_are_not_listed():
    assert graphs.relabellings(9, tuple(edges_of(graphs.grid(3, 3)))) is None
    without_symmetry = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (2, 7))  # 40,320 names
    assert graphs.relabellings(8, without_symmetry) is None
    assert graphs.relabellings(8, tuple(edges_of(graphs.grid(1, 8)))).shape == (8, 8, 20160)
    assert graphs.regular(10, 3) is None


def test_a_grid_joins_cells_at_distance_one():
    cells = list(product(range(3), range(4)))
    expected = [[abs(a - c) + abs(b - d) == 1 for c, d in cells] for a, b in cells]
    assert graphs.grid(3, 4).tolist() == expected


@pytest.mark.parametrize("edge", [(1, 1), (0, 3), (-1, 2)])
def test_what_is_no_edge_is_refused(edge):
    with pytest.raises(ValueError, match="should join two different vertices of 0 to 2"):
        graphs.graph_of(3, [(0, 1), edge])


@pytest.mark.parametrize(("n", "degree"), [(5, 3), (4, 4), (4, 0)])
def test_degrees_that_no_graph_has_are_refused(n, degree):
    with pytest.raises(ValueError, match=f"no graph of {n} vertices has degree {degree} everywhere"):
        graphs.circulant(n, degree)


# Recolouring


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_recolouring_of_cycles_takes_as_many_steps_as_the_equations_say(n):
    left = recolouring.unfinished(graphs.circulant(n, 2), 3)
    assert left.sum() == pytest.approx(colouring.sequential_recolouring_steps(n), abs=1e-9)
    assert 1 - left[0] == pytest.approx(colouring.one_shot(n, 3))


def test_recolouring_of_four_vertices_that_all_meet_takes_thirteen_thirds():
    assert recolouring.unfinished(graphs.circulant(4, 3), 4).sum() == pytest.approx(13 / 3, abs=1e-9)


@pytest.mark.parametrize(
    ("graph", "colours"), [(graphs.grid(2, 3), 4), (graphs.circulant(6, 3), 4)], ids=["grid", "regular"]
)
def test_simulations_and_plain_loops_agree_with_the_chain(graph, colours):
    runs, steps = 3000, 5
    left = recolouring.unfinished(graph, colours)
    done, taken = recolouring.simulated(graph, colours, steps, runs, np.random.default_rng(0))
    assert done == pytest.approx(1 - left[steps], abs=4 * 0.5 / runs**0.5)
    assert taken == pytest.approx(left[:steps].sum(), abs=4 * 2 / runs**0.5)
    finished = sum(played(graph, colours, steps, np.random.default_rng(run)) for run in range(1000))
    assert finished / 1000 == pytest.approx(1 - left[steps], abs=4 * 0.5 / 1000**0.5)


def played(graph, colours, steps, generator):
    """Whether one run, vertex by vertex, is proper in time."""
    colour = [generator.integers(colours) for _ in graph]
    for _ in range(steps):
        if clashing := clashes(graph, colour):
            colour[generator.choice(clashing)] = generator.integers(colours)
    return not clashes(graph, colour)


def clashes(graph, colour):
    vertices = range(len(graph))
    return [v for v in vertices if any(graph[v][u] and colour[u] == colour[v] for u in vertices)]


@pytest.mark.parametrize(("graph", "colours"), [(graphs.grid(2, 3), 3), (CYCLE, 3), (graphs.grid(1, 4), 2)])
def test_one_shot_counts_the_proper_colourings(graph, colours):
    every = list(product(range(colours), repeat=len(graph)))
    proper = sum(all(c[a] != c[b] for a, b in edges_of(graph)) for c in every)
    assert recolouring.one_shot(graph, colours) == pytest.approx(proper / len(every))


def test_recolouring_needs_a_colour_more_than_the_largest_degree_and_few_colourings():
    with pytest.raises(ValueError, match="expected more colours than the largest degree, 3, got 3"):
        recolouring.unfinished(graphs.grid(2, 3), 3)
    assert recolouring.unfinished(graphs.grid(3, 3), 5) is None
    assert recolouring.one_shot(graphs.grid(4, 4), 5) is None
