"""Undirected graphs on vertices 0 .. n-1 as symmetric adjacency matrices: paths, grids, all relabellings, all regular ones.

A *labelled* graph says which vertex is joined to which; relabelling one graph in all ways gives n! divided by its symmetries.
"""

from functools import cache
from itertools import combinations, permutations

import numpy as np
from jaxtyping import Bool, Int

LARGEST_ENUMERATED = 25_000  # labelled graphs
LARGEST_N = 8  # whose permutations are gone through

Edge = tuple[int, int]


def graph_of(n: int, edges: list[Edge]) -> Bool[np.ndarray, "{n} {n}"]:
    """The graph with these edges.

    Raises:
        ValueError: an edge is a loop or leaves the vertices.
    """
    graph = np.zeros((n, n), bool)
    for one, other in edges:
        if one == other or not (0 <= one < n and 0 <= other < n):
            raise ValueError(f"edge {[one, other]} should join two different vertices of 0 to {n - 1}")
        graph[one, other] = graph[other, one] = True
    return graph


def grid(rows: int, columns: int) -> Bool[np.ndarray, "n n"]:
    """A grid, of which a path is the one with a single row."""
    across = [(v, v + 1) for v in range(rows * columns) if (v + 1) % columns]
    down = [(v, v + columns) for v in range((rows - 1) * columns)]
    return graph_of(rows * columns, across + down)


def circulant(n: int, degree: int) -> Bool[np.ndarray, "{n} {n}"]:
    """A regular graph: every vertex is joined to the nearest ones around a circle, and for an odd degree to the opposite one.

    Raises:
        ValueError: there is none of this degree.
    """
    if not 0 < degree < n or n * degree % 2:
        raise ValueError(f"no graph of {n} vertices has degree {degree} everywhere")
    near = [(v, (v + step) % n) for v in range(n) for step in range(1, degree // 2 + 1)]
    opposite = [(v, v + n // 2) for v in range(n // 2)] if degree % 2 else []
    return graph_of(n, near + opposite)


@cache
def relabellings(n: int, edges: tuple[Edge, ...]) -> Bool[np.ndarray, "{n} {n} graph"] | None:
    """All labelled graphs that are this one but for the names of its vertices; None where there are too many to list."""
    if n > LARGEST_N:
        return None
    names = np.array(list(permutations(range(n))))
    places = _places(n)[names[:, [one for one, _ in edges]], names[:, [other for _, other in edges]]]
    return _decoded(np.unique((1 << places).sum(axis=1)), n)


@cache
def regular(n: int, degree: int) -> Bool[np.ndarray, "{n} {n} graph"] | None:
    """All labelled graphs whose vertices have this degree; None where there are too many to list."""
    if n > LARGEST_N:
        return None
    places, codes = _places(n), list[int]()

    def joined(vertex: int, missing: tuple[int, ...], code: int) -> bool:
        """Join a vertex to later ones, and then those after it; whether all graphs could be listed."""
        if vertex == n:
            codes.append(code)
            return len(codes) <= LARGEST_ENUMERATED
        later = [other for other in range(vertex + 1, n) if missing[other]]
        for chosen in combinations(later, missing[vertex]):
            left = tuple(count - (other in chosen) for other, count in enumerate(missing))
            more = sum(1 << int(places[vertex, other]) for other in chosen)
            if not joined(vertex + 1, left, code | more):
                return False
        return True

    return _decoded(np.array(codes), n) if joined(0, (degree,) * n, 0) else None


def _places(n: int) -> Int[np.ndarray, "{n} {n}"]:
    """A bit for every pair of vertices."""
    places = np.zeros((n, n), np.int64)
    above = np.triu_indices(n, 1)
    places[above] = np.arange(len(above[0]))
    return places + places.T


def _decoded(codes: Int[np.ndarray, " graph"], n: int) -> Bool[np.ndarray, "{n} {n} graph"] | None:
    if len(codes) > LARGEST_ENUMERATED:
        return None
    graphs = (codes >> _places(n)[..., None] & 1).astype(bool)
    graphs[np.arange(n), np.arange(n)] = False
    return graphs
