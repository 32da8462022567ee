"""Draw a figure from its numbers: colour says which model, shape and line say how it answers, hollow is the paper."""

from pathlib import Path
from textwrap import wrap
from typing import Any

from es_randomized.report.palette import FAINT, INK, PALETTE

Tree = dict[str, Any]

# How an answer comes about: marker, line style. Majorities of other sizes take the last.
STYLES = {
    "one run": ("o", "-"),
    "sampled": ("s", ":"),
    "dropout": ("P", ":"),
    "majority of 5": ("^", "--"),
    "majority of 30": ("v", "-."),
}
OTHER = ("D", "-.")
MEASURES = {
    "average": "average",
    "p95": "95th percentile",
    "worst": "worst input",
    "loss_average": "average loss",
    "loss_p95": "95th percentile of the loss",
    "seed_share": "due to the seed",
    "seed_decides": "decided by the seed",
}
DODGE = 0.5  # of the distance between two positions, shared by all curves
WIDTH, HEIGHT = 5.6, 4.4  # of a panel, in inches
NOTE_WIDTH = 76  # characters below a panel
NOTE = "#666666"
ROOM_FOR_NAMES = 0.28  # of the width of the panel, to the right, where there are lines to name


def save(path: Path, tree: Tree) -> None:
    """Write the picture of a figure's numbers to `path` (PNG)."""
    picture(tree).savefig(path)


def picture(tree: Tree) -> Any:
    """The matplotlib figure of the numbers that `results` made."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = tree["panels"]
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure: Any = Figure(figsize=(WIDTH * max(2, columns), HEIGHT * rows + 1.9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    colours = _colours(tree)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(places, panels, strict=False):
        _panel(axes, panel, colours, tree["paper_comparable"])
    for unused in places[len(panels) :]:
        unused.remove()
    handles = {h.get_label(): h for axes in figure.axes for h in axes.get_legend_handles_labels()[0]}
    handles |= {"paper": _hollow()} if any(h.get_gid() == "paper" for a in figure.axes for h in a.lines) else {}
    figure.suptitle(tree["title"], x=0.01, ha="left", color=INK, fontsize=13)
    legend = figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    legend.set_title("\n".join(wrap(_note(tree), NOTE_WIDTH * max(2, columns))), prop={"size": 9})
    legend.get_title().set_color(NOTE)
    return figure


def _note(tree: Tree) -> str:
    seeds = max((p["sample"]["training_seeds"] for panel in tree["panels"] for p in _points(panel)), default=0)
    interval = f", bars are {tree['confidence']:.0%} intervals of their mean" if seeds > 1 else ""
    return f"{tree['scale']} scale: {tree['note']}. Dots are single training runs ({seeds} per point){interval}."


def _panel(axes: Any, panel: Tree, colours: dict[str, str], comparable: bool) -> None:
    places = _places(panel, comparable)
    beside = list(dict.fromkeys(_beside(panel, curve) for curve in panel["curves"]))
    for curve in panel["curves"]:
        shift = DODGE * ((beside.index(_beside(panel, curve)) + 0.5) / len(beside) - 0.5)
        _curve(axes, panel, curve, places, shift, colours, comparable)
    right = len(places) - 0.45
    if panel["lines"]:
        right += ROOM_FOR_NAMES * len(places)
    for line in panel["lines"]:
        colour = INK if panel["axis"] else colours.get(line["measure"], INK)
        axes.axhline(line["value"], color=colour, linewidth=1, linestyle=(0, (6, 3)), zorder=1)
        axes.text(right, line["value"], line["label"], ha="right", va="bottom", fontsize=8, color=colour)
    axes.set_title(panel["title"], loc="left", color=INK, fontsize=11)
    axes.set_ylabel(panel["label"])
    axes.set_xlabel(panel["axis"] or "")
    axes.set_xticks(range(len(places)), [_wrapped(place) for place in places])
    axes.set_xlim(-0.55, right)
    axes.set_ylim(bottom=0 if axes.dataLim.ymin >= 0 else None, top=102 if "%" in panel["label"] else None)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)


def _curve(
    axes: Any, panel: Tree, curve: Tree, places: list[Any], shift: float, colours: dict[str, str], comparable: bool
) -> None:
    colour = colours[_key(panel, curve)]
    marker, style = STYLES.get(curve["answer"], OTHER)
    points = sorted(curve["points"], key=lambda point: places.index(_place(panel, curve, point["x"])))
    x = [places.index(_place(panel, curve, point["x"])) + shift for point in points]
    y = [point["mean"] for point in points]
    below = [0 if p["low"] is None else max(0, p["mean"] - p["low"]) for p in points]
    above = [0 if p["high"] is None else max(0, p["high"] - p["mean"]) for p in points]
    if points:
        look = {"color": colour, "marker": marker, "linestyle": style if panel["axis"] else "none"}
        axes.errorbar(
            x, y, yerr=[below, above], label=_label(panel, curve), markersize=5, linewidth=1.5, elinewidth=1, **look
        )
    for place, point in zip(x, points, strict=True):
        values = list(point["by_seed"].values())
        axes.plot([place] * len(values), values, marker=".", markersize=4, linestyle="none", color=colour, alpha=0.45)
    if comparable and curve["paper"]:
        at = [places.index(_place(panel, curve, known["x"])) + shift for known in curve["paper"]]
        shown = [known["value"] for known in curve["paper"]]
        axes.plot(
            at, shown, gid="paper", marker=marker, markersize=9, mfc="none", mec=colour, linestyle="none", clip_on=False
        )


def _places(panel: Tree, comparable: bool) -> list[Any]:
    """What stands below the panel, from left to right: positions (of the paper too), or models."""
    if not panel["axis"]:
        return list(dict.fromkeys(_place(panel, curve, None) for curve in panel["curves"]))
    known = [*_points(panel), *(p for curve in panel["curves"] if comparable for p in curve["paper"])]
    return sorted({point["x"] for point in known})


def _place(panel: Tree, curve: Tree, x: Any) -> Any:
    if panel["axis"]:
        return x
    return _who(curve)


def _who(curve: Tree) -> str:
    return str(curve["label"]) if curve["answer"] == "one run" else f"{curve['label']}, {curve['answer']}"


def _label(panel: Tree, curve: Tree) -> str:
    if not panel["axis"]:
        return MEASURES[curve["measure"]]
    return _who(curve)


def _key(panel: Tree, curve: Tree) -> str:
    return str(curve["model"] if panel["axis"] else curve["measure"])


def _beside(panel: Tree, curve: Tree) -> str:
    """What stands side by side at one place: curves, or measures of one model."""
    return _who(curve) if panel["axis"] else str(curve["measure"])


def _colours(tree: Tree) -> dict[str, str]:
    keys = dict.fromkeys(_key(panel, curve) for panel in tree["panels"] for curve in panel["curves"])
    return {key: PALETTE[number % len(PALETTE)] for number, key in enumerate(keys)}


def _points(panel: Tree) -> list[Tree]:
    return [point for curve in panel["curves"] for point in curve["points"]]


def _hollow() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", markersize=9, mfc="none", mec=INK, linestyle="none", label="paper")


def _wrapped(place: Any) -> str:
    return f"{place:g}" if isinstance(place, int | float) else str(place).replace(", ", ",\n")
