"""Colouring any small graph: guessing, and decentralised recolouring (arXiv:2002.05121), exactly and in simulation.

Recolouring starts from uniform colours. In a step one of the vertices that agree with a neighbour, chosen uniformly, takes a
uniform one of all colours, its own included. With one colour more than the largest degree that ends after O(n log degree) steps.
"""

from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int

LARGEST_CHAIN = 20_000  # colourings whose chain is followed: a second
TAIL = 1e-12


def conflicted(graph: Bool[np.ndarray, "n n"], colours: Int[np.ndarray, "*run n"]) -> Bool[np.ndarray, "*run n"]:
    """Which vertices agree with a neighbour."""
    clash = np.zeros(colours.shape, bool)
    for one, other in np.argwhere(np.triu(graph)):
        agree = colours[..., one] == colours[..., other]
        clash[..., one] |= agree
        clash[..., other] |= agree
    return clash


def one_shot(graph: Bool[np.ndarray, "n n"], colours: int) -> float | None:
    """Probability that uniform colours are a proper colouring; None where there are too many colourings to count."""
    every = _colourings(len(graph), colours)
    return None if every is None else float(1 - conflicted(graph, every).any(axis=1).mean())


def unfinished(graph: Bool[np.ndarray, "n n"], colours: int) -> Float[np.ndarray, " step"] | None:
    """Probability that recolouring has not ended after 0, 1, ... steps, until that is below 1e-12; they add up to the expected
    number of steps. From the chain on all colourings; None where there are too many.

    Raises:
        ValueError: not as many colours as the largest degree and one more, so that it may never end.
    """
    from scipy.sparse import csr_matrix

    if colours <= graph.sum(axis=0).max():
        raise ValueError(f"expected more colours than the largest degree, {graph.sum(axis=0).max()}, got {colours}")
    n, every = len(graph), _colourings(len(graph), colours)
    if every is None or len(every) > LARGEST_CHAIN:
        return None
    clash = conflicted(graph, every)
    states, vertices = np.nonzero(clash)
    powers = colours ** np.arange(n)[::-1]
    base = states - every[states, vertices] * powers[vertices]
    targets = base[:, None] + powers[vertices][:, None] * np.arange(colours)
    chances = np.repeat(1 / (colours * clash.sum(axis=1)[states]), colours)
    entries = (chances, (np.repeat(states, colours), targets.reshape(-1)))
    moves = csr_matrix(entries, shape=(len(every), len(every)))  # none from proper colourings
    left, means = clash.any(axis=1).astype(float), list[float]()
    while not means or means[-1] > TAIL:
        means.append(float(left.mean()))
        left = moves @ left
    return np.array(means)


def simulated(
    graph: Bool[np.ndarray, "n n"], colours: int, steps: int, runs: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Share of some runs that are proper after so many steps at most, and the mean number of steps until then or the end."""
    state, taken = generator.integers(colours, size=(runs, len(graph))), 0
    for _ in range(steps):
        clash = conflicted(graph, state)
        going = clash.any(axis=1)
        state, clash = state[going], clash[going]  # what is proper stays so
        if not len(state):
            break
        chosen = np.argmax(np.where(clash, generator.random(clash.shape), -1.0), axis=1)
        state[np.arange(len(state)), chosen] = generator.integers(colours, size=len(state))
        taken += len(state)
    return 1 - int(conflicted(graph, state).any(axis=1).sum()) / runs, taken / runs


def _colourings(n: int, colours: int) -> Int[np.ndarray, "colouring n"] | None:
    """All colourings, the last vertex's colour changing fastest; None where there are more than a million."""
    if colours**n > 10**6:
        return None
    return np.array(list(product(range(colours), repeat=n)))
