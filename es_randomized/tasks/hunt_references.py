"""What treasure hunts are held against: exact optima of small grids and the paper's figures."""

import functools

import numpy as np

from es_randomized.references import treasure_hunt as exact
from es_randomized.references.grid import Grid
from es_randomized.tasks.task import Reference

LARGEST_SOLVED = 25  # free cells with the start: 5 s
PAPER = [
    Reference("paper, randomized, worst of m = 10 (PGPE)", 20.0, 27.5, None, "paper"),
    Reference("paper, expected loss, one fixed seed", 18.0, 39.0, None, "paper"),
]


def references_of(grid: Grid, steps: int, episodes: int) -> list[Reference]:
    """The exact optima for one or two episodes on at most 25 cells, and the paper's figures, in total steps."""
    rows: list[Reference] = []
    if episodes <= 2 and len(grid.others) < LARGEST_SOLVED:
        game = exact.Hunt(grid.rows, grid.columns, steps, episodes, grid.start, frozenset(grid.obstacles))
        rows += _optima(game)
    is_paper = (grid.rows, grid.columns, steps, episodes) == (5, 5, 25, 2) and not grid.obstacles
    return rows + PAPER if is_paper else rows


@functools.cache
def _optima(game: exact.Hunt) -> tuple[Reference, ...]:
    """Exact optima of the game; 5 s for 25 cells, once per process."""
    solution = exact.randomized(game)
    losses = np.stack([exact.losses(game, walk) for walk in solution.walks])
    mixed = solution.mixture @ losses
    best = float(exact.best_average(game))
    deterministic = float(exact.best_worst_case(game))
    return (
        Reference("exact minimax (a mixture of walks)", float(mixed.mean()), None, solution.upper, "exact"),
        Reference("best deterministic worst case", None, None, deterministic, "exact"),
        Reference("best possible average", best, None, None, "exact"),
    )
