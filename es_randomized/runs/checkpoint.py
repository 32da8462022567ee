"""A checkpoint: what of a run is worth keeping for good, small enough to ship. It can be evaluated like a run, not resumed.

experiment.yaml, provenance.json   what was trained, and with what      weights.safetensors   flat, float32
metrics.parquet                    one row per generation               evaluation.json, ...  as in a run folder
"""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import RunFolderError
from es_randomized.experiment import Experiment
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
        raise RunFolderError(f"{run.path} was not evaluated; first es-randomized evaluate {run.path}")
    if target.exists():
        raise RunFolderError(f"{target} exists already; choose another name or remove it")
    _, state = run.restore(driver)
    table = io.BytesIO()
    pq.write_table(read_metrics(run.metrics), table, compression="zstd")
    with saying_what_failed(target):
        target.mkdir(parents=True)
        for file in (run.experiment_file, run.provenance_file, run.evaluation_file, run.picture):
            shutil.copy(file, target / file.name)
    write_atomically(target / METRICS, table.getvalue())
    write_atomically(target / WEIGHTS, save({"weights": np.asarray(driver.centre(state))}))


def trained(path: Path) -> tuple[Experiment, Float[np.ndarray, " param"], str]:
    """The resolved experiment and the weights of a run folder or a checkpoint, and which weights they are.

    Raises:
        RunFolderError: it is neither, or damaged.
    """
    folder = RunFolder(path)
    experiment = folder.experiment()
    if (folder.path / WEIGHTS).exists():
        try:
            return experiment, load_file(folder.path / WEIGHTS)["weights"], "the checkpoint"
        except (SafetensorError, KeyError) as error:
            raise RunFolderError(f"{folder.path / WEIGHTS} is damaged: {error}; get the checkpoint again") from None
    driver = driver_of(experiment)
    generation, state = folder.restore(driver)
    return driver.experiment, np.asarray(driver.centre(state)), f"the centre after {generation} generations"
