"""A rectangle of cells with a start and obstacles: where moves lead and how far cells are from the start.

Cells are numbered row by row from 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))

Position = tuple[int, int]  # row, column


@dataclass(frozen=True)
class Grid:
    """A grid; a move into a wall or an obstacle leads nowhere."""

    rows: int
    columns: int
    start: Position
    obstacles: tuple[Position, ...]

    @cached_property
    def first(self) -> int:
        """The cell of the start."""
        return self.cell(self.start)

    @cached_property
    def others(self) -> Int[np.ndarray, " cell"]:
        """All cells that can be entered but the start."""
        taken = [self.cell(place) for place in [self.start, *self.obstacles]]
        return np.setdiff1d(np.arange(self.rows * self.columns, dtype=np.int32), taken)

    @cached_property
    def neighbours(self) -> Int[np.ndarray, "cell move"]:
        """Where each move leads from each cell: up, down, left, right."""
        blocked = {self.cell(place) for place in self.obstacles}
        table = np.empty((self.rows * self.columns, len(MOVES)), np.int32)
        for cell in range(len(table)):
            for move, (down, right) in enumerate(MOVES):
                row, column = cell // self.columns + down, cell % self.columns + right
                inside = 0 <= row < self.rows and 0 <= column < self.columns
                there = self.cell((row, column))
                table[cell, move] = there if inside and there not in blocked else cell
        return table

    @cached_property
    def distances(self) -> Float[np.ndarray, " cell"]:
        """Steps from the start to every cell, infinite where there is no way."""
        distance = np.full(self.rows * self.columns, np.inf)
        reached, steps = {self.first}, 0
        while reached:
            distance[list(reached)] = steps
            steps += 1
            reached = {int(c) for cell in reached for c in self.neighbours[cell] if np.isinf(distance[c])}
        return distance

    def cell(self, place: Position) -> int:
        """The number of a cell."""
        return place[0] * self.columns + place[1]
