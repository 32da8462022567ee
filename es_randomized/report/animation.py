"""Agents that walk: the first episodes of several seeds as one moving picture (animated PNG, which needs no script)."""

import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Int

from es_randomized.report.figures import DOTS_PER_INCH, NARROW, Axes, PageFigure, blank, looking
from es_randomized.report.palette import INK, PALE, PALETTE
from es_randomized.tasks.treasure_hunt import TreasureHunt

SHOWN, PER_ROW = 6, 3
STEPS_PER_SECOND = 2
REST = 4  # frames at the end, before it starts again


def walking(name: str, task: TreasureHunt, paths: Int[np.ndarray, "time seed"]) -> PageFigure:
    """The agents of the first seeds side by side, one frame a step; what they have seen is shaded."""
    from matplotlib.animation import FuncAnimation, PillowWriter

    shown = paths[:, :SHOWN].T
    rows = -(-len(shown) // PER_ROW)
    with looking(), tempfile.TemporaryDirectory() as folder:
        figure = blank((NARROW, 0.3 + 1.9 * rows))
        places = figure.subplots(rows, min(PER_ROW, len(shown)), squeeze=False).flat
        agents = [
            Agent(axes, task, path, f"seed {n + 1}") for n, (axes, path) in enumerate(zip(places, shown, strict=False))
        ]
        for axes in list(places)[len(shown) :]:
            axes.axis("off")

        title = figure.suptitle(f"step 0 of {task.steps}", x=0.01, ha="left")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not again for every frame

        def update(frame: int) -> None:
            time = min(frame, task.steps)
            title.set_text(f"step {time} of {task.steps}")
            for agent in agents:
                agent.show(time)

        file = Path(folder) / "walking.png"
        frames = task.steps + 1 + REST
        writer = PillowWriter(fps=STEPS_PER_SECOND)
        FuncAnimation(figure, update, frames).save(file, writer=writer, dpi=DOTS_PER_INCH * 0.75)
        png = file.read_bytes()
    cells = [len(np.unique(path)) for path in shown]
    alt = (
        f"Moving picture of the first episodes of {len(shown)} seeds on a grid of {task.rows} by {task.columns} cells, "
        f"without a treasure. In {task.steps} steps they see {', '.join(map(str, cells))} cells."
    )
    caption = (
        f"The first episodes of {len(shown)} seeds, step by step: cells that were seen are shaded. Close it to stop it."
    )
    return PageFigure(name, caption, alt, png, NARROW, moving=True)


class Agent:
    """One grid, and an agent whose way so far can be shown."""

    def __init__(self, axes: Axes, task: TreasureHunt, path: Int[np.ndarray, " time"], title: str) -> None:
        self.task, self.path = task, path
        self.image = axes.imshow(np.zeros((task.rows, task.columns)), cmap="Blues", vmin=0, vmax=3)
        for row, column in task.obstacles:
            axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=INK, linewidth=0)
        for line in range(task.rows + 1):
            axes.axhline(line - 0.5, color=PALE, linewidth=1)
        for line in range(task.columns + 1):
            axes.axvline(line - 0.5, color=PALE, linewidth=1)
        (self.trail,) = axes.plot([], [], color=INK, linewidth=1.5)
        (self.agent,) = axes.plot([], [], marker="o", markersize=9, color=PALETTE[5], markeredgecolor=INK)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=10)

    def show(self, time: int) -> None:
        """Draw the first `time` steps."""
        x, y = self.path[: time + 1] % self.task.columns, self.path[: time + 1] // self.task.columns
        seen = np.isin(np.arange(self.task.rows * self.task.columns), self.path[: time + 1])
        self.image.set_data(seen.reshape(self.task.rows, self.task.columns).astype(float))
        self.trail.set_data(x, y)
        self.agent.set_data(x[-1:], y[-1:])
