"""The cluster while a run trained: a lane per worker, how much of its time it computed, who was late, who was lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from es_randomized.report.figures import WIDE, Area, Axes, PageFigure, drawn
from es_randomized.report.material import Run, RunGroup
from es_randomized.report.palette import INK, PALE, PALETTE
from es_randomized.report.section import Section
from es_randomized.report.tables import Table

MOST_LANES = 40  # more workers than these are shown machine by machine
BINS = 240
Stretch = dict[str, Any]  # a row of the timeline, see `runs.timeline.SCHEMA`


@dataclass(frozen=True)
class Lane:
    """A worker, or a worker and those that took its place; or all workers of a machine.

    Attributes:
        name: of the row.
        rows: stretches, see `runs.timeline.SCHEMA`.
    """

    name: str
    rows: list[Stretch]

    @property
    def workers(self) -> int:
        """How many that computed, whenever."""
        return sum({(row["node"], row["pid"]): row["workers"] or 1 for row in self.rows}.values())

    def total(self, name: str) -> float:
        """The sum of a column."""
        return float(sum(row[name] or 0 for row in self.rows))

    def busy(self) -> float:
        """The share of its workers' time that they computed."""
        there = sum((row["end"] - row["begin"]) * (row["workers"] or 1) for row in self.rows)
        return min(1.0, self.total("busy") / max(1e-9, there))

    def waited(self) -> float:
        """The share of its time between its last answers of steps and their ends."""
        return min(1.0, self.total("waited") / max(1e-9, self.total("end") - self.total("begin")))

    def share(self, edges: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " bin"]:
        """The share of every bin of time that it computed; NaN where nobody was there."""
        there, busy = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
        for row in self.rows:
            overlap = np.clip(np.minimum(edges[1:], row["end"]) - np.maximum(edges[:-1], row["begin"]), 0, None)
            there += overlap
            busy += overlap * min(1.0, row["busy"] / max(1e-9, (row["end"] - row["begin"]) * (row["workers"] or 1)))
        return np.where(there > 0, busy / np.where(there > 0, there, 1), np.nan)


def sections(groups: list[RunGroup]) -> list[Section]:
    """The workers of one run of every group: of all runs the page would be endless."""
    shown = [next((run for run in group.members if len(run.timeline)), None) for group in groups]
    return [
        Section(f"cluster-{index}", f"Cluster: {run.name}", tables=[workers(run)], figures=[figure])
        for index, run in enumerate(shown)
        if run and (figure := timeline(f"cluster-{index}", run))
    ]


def timeline(name: str, run: Run) -> PageFigure | None:
    """Lanes over the seconds of training; None for runs without workers."""
    if not len(run.timeline):
        return None
    all_lanes = lanes(run.timeline)
    shown = all_lanes[:MOST_LANES]

    def draw(figure: Area) -> str:
        axes = figure.subplots()
        last = max(row["end"] for lane in all_lanes for row in lane.rows)
        edges = np.linspace(0, last, BINS + 1)
        shares = np.stack([lane.share(edges) for lane in shown])
        image = axes.imshow(
            100 * shares, aspect="auto", interpolation="nearest", cmap=_shades(), vmin=0, vmax=100,
            extent=(0, last, len(shown) - 0.5, -0.5),
        )  # fmt: skip
        for line in range(1, len(shown)):
            axes.axhline(line - 0.5, color="white", linewidth=1.5)
        _marks(
            axes, shown, "lost", {"marker": "X", "s": 60, "color": PALETTE[5], "edgecolor": "white", "label": "lost"}
        )
        _marks(axes, shown, "late", {"marker": "v", "s": 26, "color": INK, "edgecolor": "white", "label": "late"})
        axes.set_yticks(range(len(shown)), [lane.name for lane in shown])
        axes.tick_params(axis="y", length=0, labelsize=8 if len(shown) > 12 else 10)
        axes.set_xlabel("training time (s)")
        figure.colorbar(image, ax=axes, label="computing (%)", pad=0.02, aspect=12)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside lower left", ncols=2)
        return f"Workers of {run.name} over {last:.0f} seconds of training. {' '.join(map(_said, shown))}"

    return drawn(f"{name}-timeline", _caption(all_lanes, shown), (WIDE, 1.9 + 0.26 * max(3, len(shown))), draw)


def workers(run: Run) -> Table:
    """What every worker, or every machine where there are many, has done."""
    rows = [
        [
            lane.name, str(lane.workers), f"{lane.total('units'):,.0f}", f"{lane.total('busy'):,.1f}",
            f"{lane.busy():.1%}", f"{lane.waited():.1%}", f"{lane.total('late'):,.0f}", f"{_lost(lane)}",
        ]
        for lane in lanes(run.timeline)
    ]  # fmt: skip
    columns = [
        "lane",
        "workers",
        "units",
        "seconds of computing",
        "busy",
        "waiting at ends",
        "units late",
        "workers lost",
    ]
    return Table(f"{run.name}: who computed what", columns, rows)


def lanes(table: pa.Table) -> list[Lane]:
    """Workers in the order of joining; one that came after another had gone from the same machine takes over its lane."""
    by_worker: dict[tuple[str, int], list[Stretch]] = {}
    for row in table.to_pylist():
        by_worker.setdefault((row["node"], row["pid"]), []).append(row)
    packed: list[list[Stretch]] = []
    for rows in sorted(by_worker.values(), key=lambda rows: float(rows[0]["begin"])):
        free = [
            lane for lane in packed
            if lane[-1]["end"] <= rows[0]["begin"] + 1e-6 and lane[-1]["node"] == rows[0]["node"]
        ]  # fmt: skip
        if free:
            free[0].extend(rows)
        else:
            packed.append(list(rows))
    if len(packed) <= MOST_LANES:
        return [Lane(f"{number} on {rows[0]['node'][:8]}", rows) for number, rows in enumerate(packed)]
    machines: dict[str, list[Stretch]] = {}
    for rows in packed:
        machines.setdefault(rows[0]["node"], []).extend(rows)
    return [Lane(node[:8], rows) for node, rows in machines.items()]


def _marks(axes: Axes, shown: list[Lane], name: str, style: dict[str, Any]) -> None:
    marks = [(row["end"], number) for number, lane in enumerate(shown) for row in _with(lane.rows, name)]
    if marks:
        axes.scatter(*zip(*marks, strict=True), zorder=3, clip_on=False, **style)


def _with(rows: Iterable[Stretch], name: str) -> list[Stretch]:
    return [row for row in rows if (row["fate"] == "lost" if name == "lost" else row[name] > 0)]


def _lost(lane: Lane) -> int:
    return len(_with(lane.rows, "lost"))


def _said(lane: Lane) -> str:
    lost, late = _lost(lane), lane.total("late")
    what = [f"computed {lane.busy():.0%} of its time, {lane.total('units'):,.0f} units"]
    what += [f"{late:,.0f} of them late"] if late else []
    what += [f"{lost} lost"] if lost else []
    return f"{lane.name}: {', '.join(what)}."


def _caption(all_lanes: list[Lane], shown: list[Lane]) -> str:
    what = "A lane is a worker and whoever took its place" if " on " in all_lanes[0].name else "A lane is a machine"
    rest = f"; {len(all_lanes) - len(shown)} more are in the table" if len(all_lanes) > len(shown) else ""
    return (
        f"{what}{rest}. Blue is computing, grey is waiting: for the coordinator's update, for slower workers, for messages. "
        "White: nobody was there."
    )


def _shades() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("busy", [PALE, PALETTE[0]]).with_extremes(bad="white")
