"""A sweep on a page: the table of its trials, the best first, and parallel coordinates from settings to score."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from es_randomized.errors import RunFolderError
from es_randomized.report.figures import WIDE, Figure, drawn
from es_randomized.report.palette import FAINT, INK, PALETTE
from es_randomized.report.tables import Table

FILE = "trials.parquet"
AFTER_SETTINGS = "trial"  # the first column of the table that is no setting
MOST_ROWS = 50
BEST = 3  # trials that stand out
WIDE_RANGE = 20.0  # largest over smallest from which on an axis is logarithmic
BEST_STYLES = (("-", "o", PALETTE[0]), ("--", "s", PALETTE[5]), ("-.", "^", PALETTE[2]))

Row = dict[str, Any]


class Scale(NamedTuple):
    """An axis: where its values are, from 0 at the bottom to 1 at the top, and what is written where."""

    at: Float[np.ndarray, " trial"]
    ticks: dict[float, str]


class Trials(NamedTuple):
    """The table of a sweep.

    Attributes:
        name: of the sweep.
        settings: that were varied.
        rows: those with a score first, the best before all.
    """

    name: str
    settings: list[str]
    rows: list[Row]

    @property
    def scored(self) -> list[Row]:
        """Trials that came to a score."""
        return [row for row in self.rows if row["score"] is not None]


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds the table of a sweep."""
    return (folder / FILE).is_file()


def read_trials(folder: Path) -> Trials:
    """The trials of a sweep.

    Raises:
        RunFolderError: the table is damaged.
    """
    try:
        table = pq.read_table(folder / FILE)
        settings = table.column_names[: table.column_names.index(AFTER_SETTINGS)]
        rows = sorted(table.to_pylist(), key=_place)
    except (OSError, pa.ArrowInvalid, ValueError, KeyError) as error:
        raise RunFolderError(f"{folder / FILE} is damaged ({error}); write it again with es-randomized sweep") from None
    return Trials(folder.resolve().name, settings, rows)


def trials_table(trials: Trials) -> Table:
    """What every trial was and came to; the best ones where there are many."""
    shown = trials.rows[:MOST_ROWS]
    names = [*trials.settings, "seed", "status", "generations", "seconds", "loss", "score"]
    rows = [[row["trial"], *(_shown(row.get(name)) for name in names)] for row in shown]
    some = f", the first {len(shown)} of {len(trials.rows)}" if len(shown) < len(trials.rows) else ""
    return Table(f"{trials.name}: trials{some}, best score first (lower is better)", ["trial", *names], rows)


def parallel_coordinates(name: str, trials: Trials) -> Figure | None:
    """A line for every trial, over an axis for every setting and one for the score; None where there is no score."""
    scored = trials.scored
    if not scored or not trials.settings:
        return None
    names = [*trials.settings, "score"]
    scales = [scale([row[column] for row in scored]) for column in names]
    lines = np.stack([each.at for each in scales], axis=1)

    def draw(figure: Any) -> str:
        axes = figure.subplots()
        x = np.arange(len(names))
        for row, line in list(zip(scored, lines, strict=True))[: BEST - 1 : -1]:
            unfinished = row["status"] != "finished"
            axes.plot(x, line, color=FAINT, alpha=0.6, linewidth=0.8, linestyle=":" if unfinished else "-")
        for (dashes, marker, colour), row, line in zip(BEST_STYLES, scored, lines, strict=False):
            label = f"{row['trial']}: {_shown(row['score'])}"
            axes.plot(x, line, color=colour, linestyle=dashes, marker=marker, linewidth=2, label=label, zorder=3)
        for place, each in zip(x, scales, strict=True):
            axes.axvline(place, color=INK, linewidth=0.8, zorder=1)
            for height, text in each.ticks.items():
                axes.text(place + 0.03, height, text, fontsize=8, va="center", color=INK, zorder=4, bbox=_PAPER)
        axes.set_xticks(x, [_broken(each) for each in names], fontsize=9)
        axes.tick_params(length=0)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_xlim(-0.1, len(names) - 0.6)
        figure.legend(loc="outside lower left", title=f"Best of {len(scored)}", title_fontsize=9, alignment="left")
        return _said(trials)

    caption = (
        "A line is a trial: from left to right its settings, at the right its score, where lower is better. Dotted: not "
        "trained to the end."
    )
    return drawn(f"{name}-parallel", caption, (WIDE, 4.8), draw)


def scale(values: list[Any]) -> Scale:
    """Where values are on their axis: numbers by size, or by its logarithm over a wide range; others in order."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = np.array(values, float)
        logarithmic = numbers.min() > 0 and numbers.max() > WIDE_RANGE * numbers.min()
        size = np.log(numbers) if logarithmic else numbers
        low, span = size.min(), np.ptp(size) or 1.0
        at = (size - low) / span if np.ptp(size) else np.full(len(size), 0.5)
        distinct = np.unique(numbers)
        marks = distinct if len(distinct) <= 6 else np.array([distinct[0], distinct[-1]])
        heights = {float(at[np.flatnonzero(numbers == mark)[0]]): _shown(float(mark)) for mark in marks}
        return Scale(at, heights)
    texts = [_shown(value) for value in values]
    order = sorted(set(texts))
    height = {text: (index + 0.5) / len(order) for index, text in enumerate(order)}
    return Scale(np.array([height[text] for text in texts]), {height[text]: text for text in order})


_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}


def _place(row: Row) -> tuple[bool, bool, float]:
    """Trained to the end before given up, and among these by score; those without one last."""
    score = row["score"]
    return score is None, row["status"] != "finished", 0.0 if score is None else score


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _broken(name: str) -> str:
    """A dotted name over two lines."""
    section, _, rest = name.rpartition(".")
    return f"{section}.\n{rest}" if section else name


def _said(trials: Trials) -> str:
    best = "; ".join(
        f"{row['trial']} with {', '.join(f'{name} {_shown(row[name])}' for name in trials.settings)}: "
        f"{_shown(row['score'])}"
        for row in trials.scored[:BEST]
    )
    return f"Parallel coordinates of {len(trials.scored)} trials of {trials.name}. The best: {best}."
