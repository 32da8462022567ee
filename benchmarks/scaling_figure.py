"""The picture of measured and simulated scaling: filled is measured, hollow is simulated."""

from pathlib import Path
from typing import Any

from es_randomized.report.palette import FAINT, INK, PALE, PALETTE

Tree = dict[str, Any]

MEASURED = {"strong, coordinator": "o", "strong, workers": "s", "weak": "^"}


def save(path: Path, results: Tree) -> None:
    """Write the picture of what `benchmarks.simulate` found (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(11.5, 9.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    (checked, efficiency), (rate, dollars) = figure.subplots(2, 2)
    _checked(checked, results["validation"])
    predictions = results["predictions"]
    calm = [prediction for prediction in predictions if prediction["hazards"] == "none"]
    by_update = {"workers": "update by workers", "coordinator": "update by the coordinator"}
    _simulated(efficiency, calm, "efficiency", "SIMULATED: efficiency against one worker", "update", by_update)
    efficiency.set_ylim(0, 1.05)
    _simulated(rate, calm, "generations per second", "SIMULATED: generations per second", "update", by_update)
    rate.set_yscale("log")
    parted = [prediction for prediction in predictions if prediction["update"] == "workers"]
    happens = {"none": "on demand, no failures", "failures and preemptions": "preemptible, with failures"}
    title = "SIMULATED: dollars per 1e9 evaluated members, update by workers"
    _simulated(dollars, parted, "dollars per 1e9 evaluations", title, "hazards", happens)
    dollars.set_yscale("log")
    lines = {line.get_label(): line for line in efficiency.get_lines() if not line.get_label().startswith("_")}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(
        "Scaling of colouring/one_phase.yaml: filled marks are measured; hollow marks and panels with dashed axes are simulated",
        x=0.01, ha="left", color=INK, fontsize=12,
    )  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)


def _checked(axes: Any, validation: Tree) -> None:
    """Measured and simulated runs, side by side."""
    rows = validation["rows"]
    for colour, beside, (kind, marker) in zip(PALETTE, (0.95, 1, 1.05), MEASURED.items(), strict=False):
        mine = [row for row in rows if row["kind"] == kind]
        x, y = [beside * row["workers"] for row in mine], [row["measured"]["median"] for row in mine]
        below = [row["measured"]["median"] - row["measured"]["low"] for row in mine]
        above = [row["measured"]["high"] - row["measured"]["median"] for row in mine]
        axes.errorbar(
            x, y, [below, above], marker=marker, linestyle="none", color=colour, markersize=6, label=f"{kind}, measured"
        )
        simulated = [row["simulated"] for row in mine]
        axes.plot(
            x, simulated, marker=marker, mfc="none", mec=colour, color=colour, linestyle="--", linewidth=0.8,
            markersize=11, label=f"{kind}, simulated",
        )  # fmt: skip
    crowded = [row["workers"] for row in rows if row["oversubscribed"]]
    if crowded:
        axes.axvspan(min(crowded) / 1.4, max(crowded) * 1.2, color=PALE, alpha=0.5, zorder=0)
        axes.text(min(crowded), 0.01, "more workers than cores", transform=axes.get_xaxis_transform(), fontsize=8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(*[sorted({row["workers"] for row in rows})] * 2)
    axes.set_yscale("log")
    axes.set_title(
        f"MEASURED and simulated on this machine: largest difference {validation['largest difference']:.1%}",
        loc="left", fontsize=10,
    )  # fmt: skip
    axes.set_ylabel("generations per second")
    axes.legend(fontsize=7, frameon=False)
    _dress(axes)


def _simulated(axes: Any, predictions: list[Tree], what: str, title: str, by: str, words: dict[str, str]) -> None:
    """One colour for every scenario, and a line style for what `by` says."""
    from matplotlib.lines import Line2D

    scenarios = list(dict.fromkeys(prediction["scenario"] for prediction in predictions))
    styles = dict(zip(words, ("-", ":"), strict=True))
    for prediction in predictions:
        rows, style = prediction["simulated"], styles[prediction[by]]
        axes.plot(
            [row["workers"] for row in rows], [row[what] for row in rows], marker="o", markersize=4, mfc="white",
            linewidth=1.2, linestyle=style, color=PALETTE[scenarios.index(prediction["scenario"])],
            label=prediction["scenario"] if style == "-" else None,
        )  # fmt: skip
    shown = [Line2D([], [], color=INK, linestyle=style) for style in styles.values()]
    axes.legend(shown, words.values(), fontsize=8, frameon=False)
    axes.set_xscale("log")
    axes.set_title(title, loc="left", fontsize=10)
    _dress(axes)
    for spine in axes.spines.values():
        spine.set_linestyle("--")


def _dress(axes: Any) -> None:
    axes.set_xlabel("workers")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, alpha=0.25, linewidth=0.6)
