"""An evaluation on disk: evaluation.json is its summary, and with the table of instances it is the whole score."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from es_randomized.errors import RunFolderError
from es_randomized.evaluation.certificate import certificate
from es_randomized.evaluation.evaluate import Score, WorstGroup
from es_randomized.evaluation.mixture import Mixture
from es_randomized.evaluation.statistics import Estimate, Levels, Losses
from es_randomized.runs.checked import read_json, read_parquet
from es_randomized.runs.folder import RunFolder
from es_randomized.tasks.measure import SUCCESS, UNBOUNDED, Bounds, Measure
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
    kept = folder.results / folder.evaluation_file.name  # a checkpoint itself has the summary it was exported with
    files = [file for file in dict.fromkeys((folder.evaluation_file, kept)) if file.exists()]
    if not files:
        return None
    *_, summary = (read_summary(folder, file) for file in files)
    with _saying_how_to_repeat(folder):
        instances = read_parquet(folder.evaluation_table) if folder.evaluation_table.exists() else None
    return Stored(summary, instances)


def read_summary(folder: RunFolder, file: Path) -> Tree:
    """The content of evaluation.json, or of a file like it, of a run.

    Raises:
        RunFolderError: it is damaged.
    """
    with _saying_how_to_repeat(folder):
        return read_json(file)


@contextmanager
def _saying_how_to_repeat(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"the evaluation in {folder.name} is damaged ({error}); write it again: {command(folder)}"
        ) from None


def command(folder: RunFolder) -> str:
    """What makes an evaluation that is missing."""
    return f"es-randomized evaluate {folder.name}"


def score_of(summary: Tree, instances: pa.Table) -> Score:
    """The score that was written as this summary and this table of instances."""
    measure, sample = measure_of(summary), summary["sample"]
    labels = [name for name in instances.column_names if name not in ("instance", "success", measure.name)]
    return Score(
        measure=measure,
        single=levels_of(summary),
        majority={int(k): levels_of(part) for k, part in summary["majority"].items()},
        pooled={int(k): levels_of(part) for k, part in summary.get("pooled", {}).items()},
        best_of={int(k): levels_of(part) for k, part in summary["best_of"].items()},
        twin=levels_of(summary["twin"]) if "twin" in summary else None,
        groups={name: WorstGroup(part["group"], estimate_of(part)) for name, part in summary["worst_group"].items()},
        by_group={name: [estimate_of(part) for part in parts] for name, parts in summary.get("by_group", {}).items()},
        references=[Reference(**part) for part in summary["references"]],
        per_instance=instances[measure.name].to_numpy(),
        success=instances["success"].to_numpy(),
        labels={name: instances[name].to_numpy() for name in labels},
        enumerated=sample["enumerated"],
        randomness=summary["randomness"],
        runs=sample["seeds"],
        confidence=sample["confidence"],
        losses=_losses_of(summary["loss"]) if "loss" in summary else None,
        mixture=Mixture(**summary["mixture"]) if "mixture" in summary else None,
    )


def measure_of(summary: Tree) -> Measure:
    """What a summary is about; older ones have a headline, success or loss, and the unit of the loss."""
    if measure := summary.get("measure"):
        bounds = (end if known is None else known for known, end in zip(measure["bounds"], UNBOUNDED, strict=True))
        return Measure(**measure | {"bounds": Bounds(*bounds)})
    return SUCCESS if summary["headline"] == "success" else Measure("loss", summary["unit"])


def levels_of(tree: Tree) -> Levels:
    """On average, at the worst 5 % and at the worst instance, of any part of a summary that has them."""
    return Levels(*(estimate_of(tree[name]) for name in Levels._fields))


def estimate_of(tree: Tree) -> Estimate:
    """A number with its interval; an end that is not known is infinite."""
    unknown = Estimate(math.nan, -math.inf, math.inf)._asdict()
    return Estimate(**{name: end if tree[name] is None else tree[name] for name, end in unknown.items()})


def _losses_of(tree: Tree) -> Losses:
    return Losses(estimate_of(tree["average"]), estimate_of(tree["p95"]), tree["between_runs"])


def summary_of(score: Score) -> Tree:
    """The content of evaluation.json; shares as fractions, losses in task units, null for what is not known."""
    sample = {"instances": len(score.success), "enumerated": score.enumerated, "confidence": score.confidence}
    tree: Tree = {"measure": asdict(score.measure), "randomness": score.randomness}
    tree |= _tree(score.single) | {"sample": sample | {"seeds": score.runs}}
    for name, by_size in (("majority", score.majority), ("pooled", score.pooled), ("best_of", score.best_of)):
        tree[name] = {
            str(k): _tree(value) | {"sample": sample | {"repeats": score.runs // k}} for k, value in by_size.items()
        }
    tree["by_seed"] = score.by_run()
    if score.losses:
        tree["loss"] = _tree(score.losses)
    if score.twin:
        tree["twin"] = _tree(score.twin) | {"sample": sample | {"seeds": 1, "chosen_among": score.runs // 2}}
    tree["worst_group"] = {name: {"group": part.group} | _tree(part.estimate) for name, part in score.groups.items()}
    tree["by_group"] = {name: [_tree(part) for part in parts] for name, parts in score.by_group.items()}
    found = certificate(score)
    tree["certificate"] = found and {
        "worst": _tree(found.value),
        "minimax": found.optimum,
        "excess": _tree(found.excess),
    }
    proven = [reference for reference in score.references if reference.kind == "exact"]
    tree["reference"] = proven[0]._asdict() if proven else None
    tree["references"] = [reference._asdict() for reference in score.references]
    if score.mixture:
        tree["mixture"] = score.mixture._asdict()
    return dict(_plain(tree))


def _tree(value: Levels | Losses | Estimate) -> Tree:
    return {name: _tree(part) if isinstance(part, Estimate) else part for name, part in value._asdict().items()}


def _plain(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table_of(score: Score) -> pa.Table:
    """A row per instance, in the order of the task's enumeration: its number, groups, success rate and what is measured."""
    columns = {"instance": np.arange(len(score.success)), **score.labels, "success": score.success}
    return pa.table(columns | {score.measure.name: score.per_instance})
