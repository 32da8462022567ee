"""How good the shipped checkpoints are: every group of training seeds with its interval, beside what is known.

    python -m benchmarks.checkpoints

Reads checkpoints/<name>-<seed>/evaluation.json, which `es-randomized evaluate checkpoints/<name>-<seed>` repeats, and the
metrics beside it. Training runs are the unit: the interval is Student's over seeds (95 %), none for fewer than three.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from benchmarks.record import record
from es_randomized.evaluation.stored import measure_of

FOLDER = Path(__file__).parents[1] / "checkpoints"
LEVELS = ("average", "p95", "worst")


def summary() -> dict[str, Any]:
    """The figures of every group of checkpoints, by name."""
    groups: dict[str, list[Path]] = {}
    for file in sorted(FOLDER.glob("*/evaluation.json")):
        groups.setdefault(file.parent.name.rsplit("-", 1)[0], []).append(file.parent)
    return {name: _group(folders) for name, folders in groups.items()}


def _group(folders: list[Path]) -> dict[str, Any]:
    trees = [json.loads((folder / "evaluation.json").read_text()) for folder in folders]
    last = [pq.read_table(folder / "metrics.parquet").to_pylist()[-1] for folder in folders]
    rows = {"one run": [[tree[level]["value"] for level in LEVELS] for tree in trees]}
    measure = measure_of(trees[0])
    if measure.counts_successes:
        for k in trees[0]["majority"]:
            rows[f"majority of {k}"] = [[tree["majority"][k][level]["value"] for level in LEVELS] for tree in trees]
    if "twin" in trees[0]:
        rows["seed frozen"] = [[tree["twin"][level]["value"] for level in LEVELS] for tree in trees]
    return {
        "measure": measure.name,
        "unit": measure.unit,
        "seeds": [int(folder.name.rsplit("-", 1)[1]) for folder in folders],
        "device_seconds": [round(row["device_seconds"], 1) for row in last],
        "rollouts": [row["rollouts"] for row in last],
        "flops": [row["flops"] for row in last],
        "rows": {name: _intervals(np.array(values)) for name, values in rows.items()},
        "references": trees[0]["references"],
    }


def _intervals(values: np.ndarray) -> dict[str, Any]:
    """Mean over seeds, half the width of its interval and the values, for each level."""
    count = len(values)
    half = stats.t.ppf(0.975, count - 1) * values.std(axis=0, ddof=1) / count**0.5 if count > 2 else [None] * 3
    return {
        level: {"mean": float(values[:, i].mean()), "half_width": _plain(half[i]), "values": values[:, i].tolist()}
        for i, level in enumerate(LEVELS)
    }


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)


def main() -> None:
    """Print a Markdown table and write the record."""
    results = summary()
    for name, group in results.items():
        percent = group["unit"] == "%"
        seconds = np.mean(group["device_seconds"])
        print(
            f"\n{name}: {len(group['seeds'])} training seeds, {seconds:.0f} device-seconds each, "
            f"{'success in %' if percent else group['unit']}\n\n| | average | 95th percentile | worst |\n|---|---|---|---|"
        )
        for row, levels in group["rows"].items():
            print(f"| {row} | " + " | ".join(_shown(levels[level], percent) for level in LEVELS) + " |")
        for reference in group["references"]:
            known = [reference[level] for level in LEVELS]
            print(f"| {reference['name']} | " + " | ".join(_number(v, percent) for v in known) + " |")
    record("checkpoints", results)


def _shown(level: dict[str, Any], percent: bool) -> str:
    reach = "" if level["half_width"] is None else f" ± {_number(level['half_width'], percent)}"
    return _number(level["mean"], percent) + reach


def _number(value: float | None, percent: bool) -> str:
    return "–" if value is None else f"{100 * value:.1f}" if percent else f"{value:.2f}"


if __name__ == "__main__":
    main()
