"""A checkpoint: what of a run is worth keeping for good, small enough to ship. It can be evaluated like a run, not resumed.

experiment.yaml, provenance.json   what was trained, and with what      weights.safetensors   flat, float32
metrics.parquet                    one row per generation               evaluation.json        as in a run folder
"""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.answer import answer_of
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import read_metrics
from es_randomized.runs.storage import saying_what_failed, write_atomically

WEIGHTS, METRICS = "weights.safetensors", "metrics.parquet"


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
    _, state = run.restore(driver)
    table = io.BytesIO()
    pq.write_table(read_metrics(run.metrics), table, compression="zstd")
    with saying_what_failed(target):
        target.mkdir(parents=True)
        for file in (run.experiment_file, run.provenance_file, run.evaluation_file):
            shutil.copy(file, target / file.name)
    write_atomically(target / METRICS, table.getvalue())
    write_atomically(target / WEIGHTS, save({"weights": np.asarray(answer_of(driver, state).weights)}))


def is_checkpoint(folder: RunFolder) -> bool:
    """Whether a folder keeps weights for good instead of a run."""
    return (folder.path / WEIGHTS).exists()


def weights_of(folder: RunFolder) -> Float[np.ndarray, " param"]:
    """The weights of a checkpoint.

    Raises:
        RunFolderError: they are damaged.
    """
    try:
        return load_file(folder.path / WEIGHTS)["weights"]
    except (SafetensorError, KeyError) as error:
        raise RunFolderError(f"{folder.path / WEIGHTS} is damaged: {error}; get the checkpoint again") from None


def metrics_of(folder: RunFolder) -> pa.Table:
    """One row per generation, of a run or a checkpoint."""
    return pq.read_table(folder.path / METRICS) if is_checkpoint(folder) else read_metrics(folder.metrics)
