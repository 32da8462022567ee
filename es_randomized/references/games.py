"""Exact references for zero-sum games between an algorithm and its input: linear programming and a double oracle.

Rows are deterministic algorithms, columns are inputs and entries are expected losses, lower is
better.  By von Neumann's theorem the best mixture of rows does as well against its worst input
as the best row does against the hardest distribution over inputs (Yao's principle).
"""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

TIGHT = 1e-7


class Solution(NamedTuple):
    """Solution of a matrix game: its value, in units of loss, and an optimal distribution for either side."""

    value: float
    mixture: Float[np.ndarray, "algorithm"]
    hard: Float[np.ndarray, "input"]


class Oracle(NamedTuple):
    """What a double oracle found: the value of the whole game lies in [lower, upper], in units of loss.

    `mixture` over `rows` loses at most `upper` on every input; every algorithm, whether in
    `rows` or not, loses at least `lower` on inputs drawn from `hard`.
    """

    lower: float
    upper: float
    mixture: Float[np.ndarray, "algorithm"]
    hard: Float[np.ndarray, "input"]
    rows: Float[np.ndarray, "algorithm input"]


def solve(matrix: Real[np.ndarray, "algorithm input"]) -> Solution:
    """Value, optimal mixture over rows and hardest distribution over columns of a matrix game.

    Minimises v subject to sum_a p_a M[a, x] <= v for every input x; the duals of these
    constraints are the hard distribution.  Both distributions are vertices.
    Raises ValueError unless the matrix is finite, two-dimensional and not empty, ArithmeticError
    when the solver fails.
    """
    from scipy.optimize import linprog

    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.size == 0 or not np.isfinite(matrix).all():
        raise ValueError(f"expected a finite matrix, algorithms x inputs, got shape {matrix.shape}")
    algorithms, inputs = matrix.shape
    programme = linprog(
        np.append(np.zeros(algorithms), 1.0),
        A_ub=np.hstack([matrix.T, np.full((inputs, 1), -1.0)]),
        b_ub=np.zeros(inputs),
        A_eq=np.append(np.ones(algorithms), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * algorithms + [(None, None)],
        method="highs",
    )
    if programme.status != 0:
        raise ArithmeticError(f"the linear programme of the game was not solved: {programme.message}")
    return Solution(float(programme.fun), _distribution(programme.x[:-1]), _distribution(-programme.ineqlin.marginals))


def double_oracle(
    respond: Callable[[Float[np.ndarray, "input"]], tuple[Real[np.ndarray, "input"], float]],
    first_rows: Real[np.ndarray, "algorithm input"],
    tolerance: float = 1e-7,
) -> Oracle:
    """Solve a game with too many algorithms to list, from exact best responses to distributions over inputs.

    `respond` returns the row of losses of a best algorithm against a distribution and its
    expected loss there, which bounds the value of the game from below; the linear programme
    over the rows found so far bounds it from above.  `rows` keeps `first_rows`, followed by the
    responses in the order in which `respond` gave them, but the last (McMahan, Gordon and Blum 2003).
    Raises ArithmeticError when a response repeats a row before the bounds meet up to
    `tolerance`, a loss: then `respond` is inexact or `tolerance` below the solver's precision.
    """
    rows = [np.asarray(row, dtype=float) for row in first_rows]
    lower, hard = -np.inf, None
    while True:
        solution = solve(np.array(rows))
        row, loss = respond(solution.hard)
        if hard is None or loss > lower:
            lower, hard = loss, solution.hard
        if solution.value - lower <= tolerance:
            return Oracle(lower, solution.value, solution.mixture, hard, np.array(rows))
        if any(np.array_equal(row, old) for old in rows):
            raise ArithmeticError(f"the best response repeats a row while the value is in [{lower}, {solution.value}]")
        rows.append(np.asarray(row, dtype=float))


def rational(
    matrix: Int[np.ndarray, "algorithm input"],
    mixture: Float[np.ndarray, "algorithm"],
    hard: Float[np.ndarray, "input"],
) -> tuple[list[Fraction], list[Fraction]]:
    """Exact probabilities of the vertices that `mixture` and `hard` approximate in a game of integer losses.

    The mixture makes the inputs that are worst for it equally bad, the hard distribution the
    algorithms that are best against it equally good; either follows from those equations.
    Raises ArithmeticError when the two are no optimal vertices.
    """
    return _equalise(matrix.T, mixture), _equalise(-matrix, hard)


def _equalise(losses: Int[np.ndarray, "constraint choice"], weights: Float[np.ndarray, "choice"]) -> list[Fraction]:
    """Probabilities supported where `weights` are, under which all largest entries of `losses` @ `weights` agree."""
    expected = losses @ weights
    tight = losses[expected > expected.max() - TIGHT]
    support = np.flatnonzero(weights)
    system = [[*(Fraction(int(entry)) for entry in row), Fraction(-1), Fraction(0)] for row in tight[:, support]]
    system.append([Fraction(1)] * len(support) + [Fraction(0), Fraction(1)])
    exact = [Fraction(0)] * len(weights)
    for choice, probability in zip(support, _eliminate(system), strict=False):
        exact[choice] = probability
    if min(exact) < 0:
        raise ArithmeticError("the equations of the game have no solution in probabilities")
    return exact


def _eliminate(system: list[list[Fraction]]) -> list[Fraction]:
    """The only solution of linear equations, each given as its coefficients followed by its right-hand side."""
    unknowns = len(system[0]) - 1
    for column in range(unknowns):
        pivot = next((i for i in range(column, len(system)) if system[i][column]), None)
        if pivot is None:
            raise ArithmeticError("the equations of the game do not determine its solution")
        system[column], system[pivot] = system[pivot], system[column]
        lead = system[column] = [entry / system[column][column] for entry in system[column]]
        for i, row in enumerate(system):
            if i != column and row[column]:
                system[i] = [entry - row[column] * other for entry, other in zip(row, lead, strict=True)]
    if any(row[-1] for row in system[unknowns:]):
        raise ArithmeticError("the equations of the game contradict each other")
    return [row[-1] for row in system[:unknowns]]


def _distribution(weights: np.ndarray) -> np.ndarray:
    """Probabilities proportional to `weights`, of which those lost in rounding are set to zero."""
    weights = np.where(weights > 1e-10, weights, 0.0)
    return weights / weights.sum()
