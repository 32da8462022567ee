"""Read back what `evaluate` wrote: the summary, and where its table of instances is there the whole score."""

import json
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from es_randomized.errors import RunFolderError
from es_randomized.evaluation.evaluate import Score, WorstGroup
from es_randomized.evaluation.statistics import Estimate, Losses, Rates
from es_randomized.runs.folder import RunFolder
from es_randomized.tasks.task import Reference

Tree = dict[str, Any]


class Stored(NamedTuple):
    """An evaluation on disk.

    Attributes:
        summary: evaluation.json.
        instances: evaluation.parquet; None where it was not kept, as in a shipped checkpoint.
    """

    summary: Tree
    instances: pa.Table | None


def stored(folder: RunFolder) -> Stored | None:
    """The evaluation of a run; None where there is none yet.

    Raises:
        RunFolderError: its files are damaged.
    """
    if not folder.evaluation_file.exists():
        return None
    try:
        summary = json.loads(folder.evaluation_file.read_text())
        instances = pq.read_table(folder.evaluation_table) if folder.evaluation_table.exists() else None
    except (ValueError, pa.ArrowInvalid) as error:
        raise RunFolderError(
            f"the evaluation in {folder.name} is damaged ({error}); write it again: {command(folder)}"
        ) from None
    return Stored(summary, instances)


def command(folder: RunFolder) -> str:
    """What makes an evaluation that is missing."""
    return f"es-randomized evaluate {folder.name}"


def score_of(summary: Tree, instances: pa.Table) -> Score:
    """The score that was written as this summary and this table of instances."""
    success = instances["success"].to_numpy()
    labels = [name for name in instances.column_names if name not in ("instance", "success", "loss")]
    sample = summary["sample"]
    return Score(
        headline=summary["headline"],
        unit=summary["unit"],
        single=rates_of(summary),
        majority={int(k): rates_of(part) for k, part in summary["majority"].items()},
        best_of={int(k): rates_of(part) for k, part in summary["best_of"].items()},
        twin=rates_of(summary["twin"]) if "twin" in summary else None,
        groups={name: WorstGroup(part["group"], estimate_of(part)) for name, part in summary["worst_group"].items()},
        by_group={name: [estimate_of(part) for part in parts] for name, parts in summary.get("by_group", {}).items()},
        references=[Reference(**part) for part in summary["references"]],
        per_instance=instances["loss"].to_numpy() if summary["headline"] == "loss" else success,
        success=success,
        labels={name: instances[name].to_numpy() for name in labels},
        enumerated=sample["enumerated"],
        randomness=summary["randomness"],
        runs=sample["seeds"],
        confidence=sample["confidence"],
        losses=_losses_of(summary["loss"]) if "loss" in summary else None,
    )


def rates_of(tree: Tree) -> Rates:
    """On average, at the worst 5 % and at the worst instance, of any part of a summary that has them."""
    return Rates(*(estimate_of(tree[name]) for name in Rates._fields))


def estimate_of(tree: Tree) -> Estimate:
    """A number with its interval."""
    return Estimate(tree["value"], tree["low"], tree["high"])


def _losses_of(tree: Tree) -> Losses:
    return Losses(estimate_of(tree["average"]), estimate_of(tree["p95"]), tree["between_runs"])
