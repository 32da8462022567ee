"""Exact references for treasure hunts on a grid: the best randomized, average and worst-case walks.

A treasure lies on a free cell x of a rectangle, other than the start: this is the input.  An
episode begins at the start, takes at most T steps to one of the four neighbours (a step off the
grid or into an obstacle stays put) and ends when the treasure is found.  With two episodes the
treasure stays and the seeker remembers.  The loss is the total number of steps, T for an episode
without success; or, in the `success` game, 1 when the treasure is never found and 0 otherwise.

A deterministic seeker is one walk, a string over "UDLR": its first T moves are episode 1, the
rest are episode 2, in case episode 1 fails.  Found at step t of episode 1 the treasure costs
t + d(x), where d is the distance from the start, as episode 2 goes straight to it; found at step
t of episode 2 it costs T + t.  Known solutions, proven by `certify` (5 s for the largest):

    grid, T      randomized  best average  best worst case   hard distribution
    3 x 3, 10         8         27/4             10          the corner opposite the start
    4 x 4, 18      278/23       56/5             16          9/23 there, 3, 4, 4, 3 /23 on the diagonal across
    5 x 5, 25       52/3        50/3             26          uniform on the 12 cells at even distance

The last by hand: the cells at even distance are first reached at different even steps, at best
2, 4, ..., 24, 13 on average, and their distance is 13/3 on average.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from math import lcm
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from es_randomized.references import games

MOVES = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
MAX_CELLS = 56  # a set of cells and a position fit 63 bits
BEAM = 500
SLACK = 1e-9


@dataclass(frozen=True)
class Hunt:
    """A treasure hunt: grid, steps per episode, episodes (1 or 2), start, obstacles, and what is lost.

    Cells are (row, column).  Raises ValueError for other numbers, for a start that is no free
    cell, fewer than 2 or more than 56 free cells, or some that are not within `steps` of the start.
    """

    rows: int
    columns: int
    steps: int
    episodes: int = 2
    start: tuple[int, int] = (0, 0)
    obstacles: frozenset[tuple[int, int]] = frozenset()
    success: bool = False

    def __post_init__(self) -> None:
        if self.episodes not in (1, 2) or self.steps < 1:
            raise ValueError(f"expected 1 or 2 episodes of steps >= 1, got {self.episodes} of {self.steps}")
        free = self.start not in self.obstacles and self.start in product(range(self.rows), range(self.columns))
        if not free or not 2 <= len(self.cells) <= MAX_CELLS:
            raise ValueError(f"expected 2..{MAX_CELLS} free cells with the start {self.start}, got {self.cells}")
        if self.distance.min() < 0 or self.distance.max() > self.steps:
            raise ValueError(f"expected every free cell within {self.steps} steps of the start {self.start}")

    @cached_property
    def inputs(self) -> list[tuple[int, int]]:
        """The cells that may hold the treasure, in reading order: all free ones but the start."""
        every = product(range(self.rows), range(self.columns))
        return [cell for cell in every if cell not in self.obstacles and cell != self.start]

    @property
    def cells(self) -> list[tuple[int, int]]:
        """All free cells: the start, which has index 0, and the inputs."""
        return [self.start, *self.inputs]

    @cached_property
    def moved(self) -> Int[np.ndarray, "cell 4"]:
        """Index of the cell reached from a cell by each of the moves U, D, L and R."""
        index = {cell: i for i, cell in enumerate(self.cells)}
        return np.array([[index.get((r + dr, c + dc), i) for dr, dc in MOVES.values()] for (r, c), i in index.items()])

    @cached_property
    def distance(self) -> Int[np.ndarray, "cell"]:
        """Steps from the start to each cell, -1 if out of reach; the parity is the cell's colour on a chessboard."""
        distance = np.full(len(self.cells), -1)
        edge = np.zeros(1, dtype=int)
        while edge.size:
            distance[edge] = distance.max() + 1
            edge = np.array([cell for cell in np.unique(self.moved[edge]) if distance[cell] < 0], dtype=int)
        return distance

    @property
    def horizon(self) -> int:
        """Steps of all episodes together."""
        return self.steps * self.episodes

    def loss(self, arrival: int | np.ndarray, step: int, distance: np.integer | np.ndarray) -> np.ndarray:
        """Loss of treasures reached at `arrival`, or the least possible one if that is past the episode of `step`."""
        first = self.episodes == 2 and step <= self.steps
        if self.success:
            return np.asarray(0 * arrival if first else arrival > self.horizon, dtype=int)
        return np.asarray(np.minimum(arrival, self.steps) + distance if first else np.minimum(arrival, self.horizon))


class Randomized(NamedTuple):
    """An optimal randomized seeker, walks with probabilities, and hider; the value is in [lower, upper]."""

    lower: float
    upper: float
    walks: list[str]
    mixture: Float[np.ndarray, "walk"]
    hard: Float[np.ndarray, "input"]


def first_visit(rows: int, columns: int, start: tuple[int, int] = (0, 0)) -> Hunt:
    """The search game whose loss is the step of the first visit, 1 or more, in one episode without a limit.

    The treasure is not at the start.  From the corner, the randomized value (best worst case) is
    2 (3) on the 2 x 2 grid, 3 (5) on 2 x 3, 5 (8) on 3 x 3, 5 (9) on 2 x 5, 6 (11) on 3 x 4,
    8 (15) on 4 x 4 and 13 (24) on 5 x 5.
    """
    return Hunt(rows, columns, (rows * columns) ** 2, episodes=1, start=start)


def losses(hunt: Hunt, walk: str) -> Int[np.ndarray, "input"]:
    """Loss of a walk for every place of the treasure, in steps (or 0 and 1 in the success game).

    The seeker stands still after the end of the walk; moves beyond the last episode are ignored.
    Raises ValueError for a move other than U, D, L or R.
    """
    if not set(walk) <= set(MOVES):
        raise ValueError(f"expected a walk over UDLR, got {walk!r}")
    best = np.full(len(hunt.cells), hunt.loss(hunt.horizon + 1, hunt.horizon + 1, hunt.distance))
    cell = 0
    for step, move in enumerate(walk[: hunt.horizon]):
        cell = hunt.moved[cell if step % hunt.steps else 0, list(MOVES).index(move)]
        best[cell] = min(best[cell], hunt.loss(step + 1, step + 1, hunt.distance[cell]))
    return best[1:]


def randomized(hunt: Hunt, tolerance: float = 1e-7) -> Randomized:
    """Minimax expected loss over all randomized seekers, with optimal play of both sides.

    A double oracle whose best responses to the hider come from an exact search over walks.  The
    bounds meet up to `tolerance`; `certify` then proves them in exact arithmetic.
    """
    walks = [best_walk(hunt, np.ones(len(hunt.inputs), dtype=int))[1]]

    def respond(hard: np.ndarray) -> tuple[np.ndarray, float]:
        loss, walk = best_walk(hunt, hard)
        walks.append(walk)
        return losses(hunt, walk), loss

    solution = games.double_oracle(respond, losses(hunt, walks[0])[None], tolerance)
    return Randomized(solution.lower, solution.upper, walks[: len(solution.rows)], solution.mixture, solution.hard)


def certify(hunt: Hunt, solution: Randomized) -> tuple[Fraction, Fraction]:
    """Proven [lower, upper] bounds of the randomized value, equal when `solution` is optimal.

    The probabilities are made rational; the upper bound is the worst expected loss of the
    mixture, the lower one the best response to the hider, searched with integer weights.
    Raises ArithmeticError when `solution` is too far from optimal vertices, or their denominators too large.
    """
    matrix = np.array([losses(hunt, walk) for walk in solution.walks])
    mixture, hard = games.rational(matrix, solution.mixture, solution.hard)
    upper = max(sum(p * int(loss) for p, loss in zip(mixture, column, strict=True)) for column in matrix.T)
    scale = lcm(*(p.denominator for p in hard))
    if scale * hunt.horizon >= 2**63:
        raise ArithmeticError(f"the hider's probabilities have too large a denominator, {scale}")
    lower, _ = best_walk(hunt, np.array([int(p * scale) for p in hard]))
    return Fraction(int(lower), scale), Fraction(upper)


def best_average(hunt: Hunt) -> Fraction:
    """Least expected loss of any seeker when the treasure is uniform."""
    total, _ = best_walk(hunt, np.ones(len(hunt.inputs), dtype=int))
    return Fraction(int(total), len(hunt.inputs))


def best_worst_case(hunt: Hunt) -> int:
    """Least loss in the worst case of any deterministic seeker."""
    return int(best_walk(hunt, np.ones(len(hunt.inputs), dtype=int), np.maximum)[0])


def best_walk(hunt: Hunt, weights: Real[np.ndarray, "input"], combine: np.ufunc = np.add) -> tuple[int | float, str]:
    """A walk with the least sum, or maximum for `combine` np.maximum, of weighted losses, and that loss.

    Exact for integer weights (losses must fit 63 bits), up to 1e-9 for real ones; the time can grow
    exponentially with the number of positive weights.  Raises ValueError unless they are >= 0, not all 0.
    """
    weights = np.asarray(weights)
    if weights.shape != (len(hunt.inputs),) or weights.min() < 0 or not weights.any():
        raise ValueError(f"expected {len(hunt.inputs)} weights >= 0, not all 0, got {weights}")
    everywhere, target = (_target(hunt, w, combine) for w in (np.maximum(weights, weights.max() / 1e6), weights))
    _, walk = _search(hunt, everywhere, (np.inf, ""), BEAM)
    near = _search(hunt, target, (combine.reduce(weights * losses(hunt, walk)).item(), walk), BEAM)
    return _search(hunt, target, near, None)


# The search goes step by step over the states (set of cells with weight already visited, position)
# and keeps the cheapest walk to each, as the state alone decides what the rest will lose.  Walks
# that stand still need no attention, since going on sooner loses no more.  So every step changes
# the colour, as on a chessboard, and of the cells of one colour left, at most one is reached every
# two steps: a lower bound of the final loss, reached when the heaviest (or farthest) come first.
# Two beam searches run before the exact one, for a good bound and a walk that also goes elsewhere.


class _Target(NamedTuple):
    """The cells with weight: their bits in a set, weights (0 for other cells), and the order assumed by the bound."""

    bit: Int[np.ndarray, "cell"]
    weight: Real[np.ndarray, "cell"]
    order: Int[np.ndarray, "target"]
    combine: np.ufunc


class _Layer(NamedTuple):
    """States after some step, what they have lost, and the earlier states and moves they come from."""

    visited: Int[np.ndarray, "state"]
    position: Int[np.ndarray, "state"]
    lost: Real[np.ndarray, "state"]
    parent: Int[np.ndarray, "state"]
    move: Int[np.ndarray, "state"]

    def take(self, which: np.ndarray) -> "_Layer":
        """The states with these indices."""
        return _Layer(*(field[which] for field in self))


def _target(hunt: Hunt, weights: np.ndarray, combine: np.ufunc) -> _Target:
    """The search's view of weights over inputs."""
    weight = np.insert(weights, 0, 0)
    order = np.argsort(-hunt.distance if combine is np.maximum else -weight, kind="stable")
    order = order[weight[order] > 0]
    bit = np.zeros(len(weight), dtype=np.int64)
    bit[order] = 1 << np.arange(len(order))
    return _Target(bit, weight, order, combine)


def _search(hunt: Hunt, target: _Target, best: tuple[int | float, str], width: int | None) -> tuple[int | float, str]:
    """Least loss with its walk, `best` if none is lower; follows only the `width` most promising states if given."""
    slack = 0 if np.issubdtype(target.weight.dtype, np.integer) else SLACK
    zero = np.zeros(1, dtype=np.int64)
    layers = [_Layer(zero, zero, zero.astype(target.weight.dtype), zero, zero)]
    for step in range(1, hunt.horizon + 1):
        grown = _grown(hunt, target, layers[-1], step)
        bound = _bound(hunt, target, grown, step)
        done = (grown.visited == target.bit.sum()) | (step == hunt.horizon)
        final = np.flatnonzero(done & (bound < best[0] - slack))
        if final.size:
            last = final[bound[final].argmin()]
            best = bound[last].item(), _walk([*layers, grown.take(np.array([last]))])
        alive = np.flatnonzero(~done & (bound < best[0] - slack))
        alive = alive[np.argsort(grown.lost[alive], kind="stable")]
        state = grown.visited[alive] * len(hunt.cells) + grown.position[alive]
        alive = alive[np.unique(state, return_index=True)[1]]
        if width and len(alive) > width:
            alive = alive[np.argpartition(bound[alive], width)[:width]]
        if not len(alive):
            break
        layers.append(grown.take(alive))
    return best


def _grown(hunt: Hunt, target: _Target, layer: _Layer, step: int) -> _Layer:
    """All states one step later; the end of an episode takes them back to the start."""
    parent, move = np.divmod(np.arange(len(layer.position) * len(MOVES)), len(MOVES))
    cell = hunt.moved[layer.position[parent], move]
    stepped = cell != layer.position[parent]
    parent, move, cell = parent[stepped], move[stepped], cell[stepped]
    fresh = (target.bit[cell] & ~layer.visited[parent]) > 0
    loss = fresh * target.weight[cell] * hunt.loss(step, step, hunt.distance[cell])
    visited = layer.visited[parent] | target.bit[cell]
    position = np.zeros_like(cell) if step == hunt.steps else cell
    return _Layer(visited, position, target.combine(layer.lost[parent], loss), parent, move)


def _bound(hunt: Hunt, target: _Target, layer: _Layer, step: int) -> Real[np.ndarray, "state"]:
    """Lower bound of the final loss of states after `step`; the loss itself where there is no way to go on."""
    total = layer.lost
    for colour in (0, 1):
        cells = target.order[hunt.distance[target.order] % 2 == colour][:, None]
        left = (layer.visited & target.bit[cells]) == 0
        lead = hunt.distance[layer.position] % 2 != colour
        arrival = step + 2 * np.cumsum(left, axis=0) - lead
        to_come = left * target.weight[cells] * hunt.loss(arrival, step + 1, hunt.distance[cells])
        total = target.combine(total, target.combine.reduce(to_come, axis=0, initial=0))
    return total


def _walk(layers: list[_Layer]) -> str:
    """The moves that led to the first state of the last layer."""
    state, moves = 0, []
    for layer in reversed(layers[1:]):
        moves.append(list(MOVES)[layer.move[state]])
        state = layer.parent[state]
    return "".join(reversed(moves))
