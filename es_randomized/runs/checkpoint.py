"""A checkpoint: what of a run is worth keeping for good, small enough to ship. It can be evaluated like a run, not resumed.

experiment.yaml, provenance.json   what was trained, and with what      weights.safetensors   flat, float32
metrics.parquet                    one row per generation               evaluation.json        as in a run folder
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.answer import answer_of
from es_randomized.runs.checked import parquet_of, read_parquet
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.restore import restore
from es_randomized.runs.storage import saying_what_failed, write_atomically

METRICS, CHECKED = "metrics.parquet", "sha256"


def export(run: RunFolder, target: Path) -> None:
    """Write the newest weights of a run to the new folder `target`, with its metrics and evaluation.

    Raises:
        RunFolderError: the run was not evaluated, or `target` holds something already.
        StorageError: it cannot be written.
    """
    driver = driver_of(run.experiment())
    if not run.evaluation_file.exists():
        raise RunFolderError(f"{run.name} was not evaluated; first es-randomized evaluate {run.name}")
    if target.exists():
        raise RunFolderError(f"{target} exists already; choose another name or remove it")
    _, state = restore(run, driver)
    table = parquet_of(read_metrics(run.metrics), "zstd")
    with saying_what_failed(target):
        target.mkdir(parents=True)
        for file in (run.experiment_file, run.provenance_file, run.evaluation_file):
            shutil.copy(file, target / file.name)
    write_atomically(target / METRICS, table)
    weights = np.asarray(answer_of(driver, state).weights)
    write_atomically(RunFolder(target).weights_file, save({"weights": weights}, {CHECKED: _checksum(weights)}))


def weights_of(folder: RunFolder) -> Float[np.ndarray, " param"]:
    """The weights of a checkpoint.

    Raises:
        RunFolderError: they are damaged.
    """
    try:
        with safe_open(folder.weights_file, "np") as file:
            weights, checksum = file.get_tensor("weights"), (file.metadata() or {}).get(CHECKED)
    except (SafetensorError, OSError) as error:
        raise RunFolderError(f"{folder.weights_file} is damaged: {error}; get the checkpoint again") from None
    if checksum not in (None, _checksum(weights)):  # those of before have none
        raise RunFolderError(f"{folder.weights_file} is damaged: its checksum does not fit; get the checkpoint again")
    return weights


def _checksum(weights: Float[np.ndarray, " param"]) -> str:
    return hashlib.sha256(weights.tobytes()).hexdigest()


def metrics_of(folder: RunFolder) -> pa.Table:
    """One row per generation, of a run or a checkpoint.

    Raises:
        RunFolderError: those of a checkpoint are missing or damaged.
    """
    if not folder.is_checkpoint:
        return read_metrics(folder.metrics)
    try:
        return read_parquet(folder.path / METRICS)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{folder.path / METRICS} is damaged: {error}; get the checkpoint again") from None
