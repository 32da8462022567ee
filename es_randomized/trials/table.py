"""The table of a sweep: one row per trial, read from the run folders, as Parquet."""

import json
import math
from typing import Any

import pyarrow as pa

from es_randomized.errors import UserError
from es_randomized.evaluation.statistics import LEVELS
from es_randomized.evaluation.stored import levels_of, stored
from es_randomized.runs.checked import parquet_of
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.journal import generations_in
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.storage import write_atomically
from es_randomized.trials.sweep import Sweep
from es_randomized.trials.sweep_trials import planned
from es_randomized.trials.trial import Record, TrialsFolder

TrialRow = dict[str, Any]  # what is known of a trial, by the name of the column

NUMBERS = ["score", "seconds", "loss", "held_out_average", "held_out_p95", "held_out_worst"]
LEVEL_COLUMNS = [f"{name}{end}" for name in LEVELS for end in ("", "_low", "_high")]


def rows_of(sweep: Sweep, folder: TrialsFolder) -> list[TrialRow]:
    """What is known of every trial, those that have not begun last.

    Returns:
        The varied settings by their dotted names, then `trial`, `seed`, `status` (waiting, begun, finished, stopped,
        failed), `message`, `generations`, `score` (the sweep's metric, lower is better), `seconds` of training, `loss` of
        the last generation, the `held_out_*` numbers of the last check, the evaluation's `average`, `p95` and `worst` with
        `_low` and `_high`, and `folder`. Numbers that are not there or not known are None.
    """
    records = folder.records()
    begun = [_row(sweep, folder, name, record) for name, record in records.items()]
    waiting = [trial for trial in planned(sweep) or [] if trial.name not in records]
    return begun + [
        _shown(sweep, trial.parameters) | {"trial": trial.name, "seed": trial.seed, "status": "waiting", "message": ""}
        for trial in waiting
    ]


def best_first(rows: list[TrialRow]) -> list[TrialRow]:
    """Rows that have a score, those trained to their end first."""
    scored = [row for row in rows if row.get("score") is not None]
    return sorted(scored, key=lambda row: (row["status"] != "finished", row["score"]))


def write(sweep: Sweep, folder: TrialsFolder, rows: list[TrialRow]) -> None:
    """Write rows as the sweep's table; its metadata says by which metric.

    Raises:
        StorageError: the disk did not take it.
    """
    columns_before = ["trial", "seed", "status", "message", "generations"]
    names = [*sweep.search.parameters, *columns_before, *NUMBERS, *LEVEL_COLUMNS, "folder"]
    columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
    table = pa.table(columns).replace_schema_metadata({"metric": sweep.metric})
    write_atomically(folder.table, parquet_of(table))


def _row(sweep: Sweep, folder: TrialsFolder, name: str, record: Record) -> TrialRow:
    run = folder.run(name)
    row = _shown(sweep, record.parameters) | {"trial": name, "seed": record.seed, "folder": str(run.path)}
    row |= {"status": record.status, "message": record.message, "score": record.score}
    return row | {"generations": generations_in(run.journal_file)} | _trained(run) | _evaluated(run)


def _shown(sweep: Sweep, parameters: TrialRow) -> TrialRow:
    """Values a column can hold: schedules and sections as text."""
    return {
        name: json.dumps(value) if isinstance(value, dict | list) else value
        for name, value in parameters.items()
        if name in sweep.search.parameters
    }


def _trained(run: RunFolder) -> TrialRow:
    metrics = read_metrics(run.metrics).to_pylist()
    if not metrics:
        return {}
    checks = [row for row in metrics if row["held_out_average"] is not None] or [{}]
    held_out = {name: checks[-1].get(name) for name in NUMBERS if name.startswith("held_out")}
    return {"seconds": metrics[-1]["seconds"], "loss": metrics[-1]["loss_mean"]} | held_out


def _evaluated(run: RunFolder) -> TrialRow:
    try:
        evaluation = stored(run)
    except UserError:
        return {}
    if evaluation is None:
        return {}
    levels = levels_of(evaluation.summary)._asdict()
    ends = (("", "value"), ("_low", "low"), ("_high", "high"))
    numbers = {f"{name}{end}": getattr(level, part) for name, level in levels.items() for end, part in ends}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _column(name: str, values: list[Any]) -> pa.Array:
    if name in (*NUMBERS, *LEVEL_COLUMNS):
        return pa.array(values, pa.float64())
    if name in ("seed", "generations"):
        return pa.array(values, pa.int64())
    if name in ("trial", "status", "message", "folder"):
        return pa.array(values, pa.string())
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.array([None if value is None else float(value) for value in values])
    return pa.array(values if len(kinds) < 2 else [None if value is None else str(value) for value in values])
