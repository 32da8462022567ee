"""What colourings of graphs are held against: guessing, and decentralised recolouring on the same graphs."""

import functools

import numpy as np
from jaxtyping import Bool, Float, Int

from es_randomized.references import recolouring
from es_randomized.tasks.task import Reference

SHOWN = 10  # random graphs, where there are too many to list
RUNS = 1000  # of a simulation

Graphs = Bool[np.ndarray, "vertex vertex graph"]


def references_of(graphs: Graphs, colours: int, steps: int) -> list[Reference]:
    """Success of uniform colours and of recolouring, on average and on the worst of some graphs.

    Args:
        steps: that recolouring may take.
    """
    different, counts = _different(graphs)
    guessed = [recolouring.one_shot(graph, colours) for graph in different]
    rows = []
    if None not in guessed:
        rows.append(_row("one-shot random colours", np.repeat(np.array(guessed, float), counts)))
    if colours > graphs.sum(axis=0).max():
        found = [_recoloured(graph.tobytes(), len(graph), colours, steps) for graph in different]
        done, means, exact = (np.array(part) for part in zip(*found, strict=True))
        taken = f"{np.average(means, weights=counts):.2f} on average"
        how = f"until proper {taken}" if exact.all() else f"simulated, {taken}"
        rows.append(_row(f"recolouring, {steps} steps ({how})", np.repeat(done, counts)))
    return rows


@functools.cache
def _recoloured(graph: bytes, n: int, colours: int, steps: int) -> tuple[float, float, bool]:
    """Success of recolouring within so many steps, the mean number of steps, and whether both are exact."""
    adjacency = np.frombuffer(graph, bool).reshape(n, n)
    left = recolouring.unfinished(adjacency, colours)
    if left is not None:
        return 1 - float(left[min(steps, len(left) - 1)]), float(left.sum()), True
    return *recolouring.simulated(adjacency, colours, steps, RUNS, np.random.default_rng(0)), False


def _different(graphs: Graphs) -> tuple[list[Bool[np.ndarray, "n n"]], Int[np.ndarray, " kind"]]:
    """Graphs that are not relabellings of each other, and how many of each there are.

    They are told apart by their eigenvalues. Two different ones may share these from ten vertices on, if they are regular.
    """
    spectra = np.linalg.eigvalsh(np.moveaxis(graphs, -1, 0).astype(float)).round(6) + 0.0
    _, places, counts = np.unique(spectra, axis=0, return_index=True, return_counts=True)
    return [np.ascontiguousarray(graphs[..., place]) for place in places], counts


def _row(name: str, success: Float[np.ndarray, " graph"]) -> Reference:
    worst = float(success.min())
    return Reference(name, float(success.mean()), float(np.quantile(success, 0.05)), worst, "algorithm")
