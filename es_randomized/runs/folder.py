"""The run folder: everything one run leaves behind.

experiment.yaml   the resolved experiment          snapshots/   states, newest two
provenance.json   versions, revision, machine      metrics/     one row per generation, Parquet
journal.bin       losses of every generation       workers/     who computed when, Parquet
run.log           what happened                    start.safetensors   first weights, where they are another run's
evaluation.json, evaluation.parquet, picture.png   written by `es-randomized evaluate`
evaluation-<source>.json                           the same weights under another source of randomness
"""

import hashlib
import logging
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Float

from es_randomized.compilation import default_cache
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump, load, read_file, read_yaml, write_yaml
from es_randomized.drivers.driver import Driver
from es_randomized.errors import ConfigError, RunFolderError
from es_randomized.runs.checked import json_of, read_json
from es_randomized.runs.identity import changed_experiment, changed_files, digest, experiments_of, own_files, tag_of
from es_randomized.runs.journal import Journal, Recorded, read
from es_randomized.runs.provenance import differences, provenance
from es_randomized.runs.snapshots import save_snapshot
from es_randomized.runs.start import Start, read_start, write_start
from es_randomized.runs.storage import saying_what_failed, write_atomically, write_new
from es_randomized.strategies.strategy import State

log = logging.getLogger(__name__)


class InUseError(RunFolderError):
    """Another process is training the run."""


class RunFolder:
    """Paths of one run. Nothing is read or written before a method says so.

    Attributes:
        name: what to call the run in a command.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = Path(path)
        self.name = name or shlex.quote(str(path))
        self.experiment_file = self.path / "experiment.yaml"
        self.provenance_file = self.path / "provenance.json"
        self.journal_file = self.path / "journal.bin"
        self.start_file = self.path / "start.safetensors"
        self.snapshots = self.path / "snapshots"
        self.metrics = self.path / "metrics"
        self.workers = self.path / "workers"
        self.log_file = self.path / "run.log"
        self.evaluation_file = self.path / "evaluation.json"
        self.weights_file = self.path / "weights.safetensors"

    @property
    def is_checkpoint(self) -> bool:
        """Whether it keeps weights for good instead of a run."""
        return self.weights_file.exists()

    @property
    def results(self) -> Path:
        """Where `evaluate` writes: here, or in the user's cache for a checkpoint, which stays as it is."""
        if not self.is_checkpoint:
            return self.path
        what = hashlib.sha256(bytes(self.path.resolve()))
        for file in (self.experiment_file, self.weights_file):
            what.update(file.read_bytes())
        return default_cache("evaluations") / what.hexdigest()[:16]

    @property
    def evaluation_table(self) -> Path:
        """A row for every instance that was evaluated."""
        return self.results / "evaluation.parquet"

    @property
    def picture(self) -> Path:
        """What was learned, drawn."""
        return self.results / "picture.png"

    def evaluation_by(self, randomness: str) -> Path:
        """Where the evaluation under a source of randomness that is not the experiment's own is kept."""
        return self.results / f"evaluation-{randomness}.json"

    def refuse_checkpoint(self) -> None:
        """Raises RunFolderError if this is a checkpoint."""
        if self.is_checkpoint:
            raise RunFolderError(
                f"{self.name} is a checkpoint: it keeps weights for good and cannot be trained; train a run that begins with "
                f"them: start_from: {self.name}"
            )

    def create(self, experiment: Experiment, start: Start | None = None) -> None:
        """Make the folder of a new run, which nobody else makes or has made.

        Args:
            start: the weights of `start_from`, unless they are in the folder already.

        Raises:
            RunFolderError: it already holds a run, or another process makes one there, or it lacks the weights it should
                start from.
            StorageError: it cannot be written.
        """
        with saying_what_failed(self.experiment_file):
            for folder in (self.path, self.snapshots, self.metrics):
                folder.mkdir(parents=True, exist_ok=True)
        with self.lock():
            self.refuse_existing()
            self._write_new(experiment, start)

    def _write_new(self, experiment: Experiment, start: Start | None) -> None:
        text = write_yaml(dump(experiment))
        origin = provenance(experiment.model.precision) | {"task_version": experiment.task.version}
        origin |= {"experiment": digest(read_yaml(text, "experiment")), "files": own_files(experiment)}
        if experiment.start_from is not None:
            if start:
                write_start(self.start_file, start)
            origin["start_from"] = read_start(self.start_file).provenance
        self.write_origin(origin)
        try:
            write_new(self.experiment_file, text.encode())
        except FileExistsError:  # where locks do not hold across machines
            self.refuse_existing()

    def refuse_existing(self) -> None:
        """Raises RunFolderError if there is a run here already."""
        if self.experiment_file.exists():
            raise RunFolderError(
                f"{self.name} already holds a run; continue it with `es-randomized resume {self.name}` "
                "or choose another folder with --run"
            )

    def experiment(self) -> Experiment:
        """The resolved experiment of this run.

        Raises:
            RunFolderError: there is no run here, or its experiment is damaged.
        """
        if not self.experiment_file.exists():
            raise RunFolderError(f"{self.name} is not a run folder: it has no experiment.yaml; runs are made by train")
        origin = self.origin()
        try:
            self._check_experiment(origin)
            return load(self.experiment_file)
        except ConfigError as error:
            made = origin.get("revision") or "another revision"
            raise RunFolderError(
                f"the experiment of this run is damaged, or not of this version (the run was made with {made}): {error}"
            ) from None

    def _check_experiment(self, origin: Mapping[str, Any]) -> None:
        """Refuse one that is not what the run, or the checkpoint, began with."""
        experiments = experiments_of(origin)
        if experiments and digest(read_file(self.experiment_file, "experiment")) != experiments[-1]:
            raise changed_experiment(self.name, self.is_checkpoint)

    def lock(self, name: str = ".lock") -> AbstractContextManager[object]:
        """Take the run at once, and keep other processes from it until the returned block ends or this process dies.

        Raises:
            InUseError: another process is training it.
            StorageError: the folder cannot be written.
        """
        with saying_what_failed(self.path):
            try:
                return FileLock(self.path / name).acquire(blocking=False)
            except Timeout:
                raise InUseError(f"another process is training {self.name}; wait for it or stop it") from None

    def start(self) -> Start | None:
        """The weights of another run that this one started from, if it did."""
        return read_start(self.start_file) if self.start_file.exists() else None

    def origin(self) -> dict[str, Any]:
        """What is in provenance.json; nothing where it is missing.

        Raises:
            RunFolderError: it is damaged.
        """
        try:
            return read_json(self.provenance_file)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise RunFolderError(
                f"{self.provenance_file} is damaged ({error}), so nobody can say what this run was made with; put it back from a "
                "copy, or delete it to go on without"
            ) from None

    def write_origin(self, origin: Mapping[str, Any]) -> None:
        """Replace what is in provenance.json."""
        write_atomically(self.provenance_file, json_of(origin))

    def recorded(self, driver: Driver) -> Recorded:
        """What the journal holds, which must be of this run.

        Raises:
            RunFolderError: it is of another one, or the experiment was changed since it began.
        """
        self.refuse_checkpoint()
        recorded, experiments = read(self.journal_file), experiments_of(self.origin())
        self._check_experiment(self.origin())
        of_another = experiments and recorded.experiment not in (0, *map(tag_of, experiments))
        if of_another or recorded.losses.shape[1] != driver.losses_per_generation:
            raise RunFolderError(
                f"{self.journal_file} is of another experiment, or damaged at its very beginning: it records "
                f"{recorded.losses.shape[1]} losses a generation; this one has {driver.losses_per_generation}"
            )
        return recorded

    def accept_files(self, experiment: Experiment) -> None:
        """From now on this run is one of the user's own files as they are."""
        if origin := self.origin():
            origin["files"] = own_files(experiment)
            self.write_origin(origin)

    def check_origin(self, experiment: Experiment) -> None:
        """Refuse a task that behaves differently now; warn where bits may differ."""
        then = self.origin()
        if not then:
            log.warning("%s is missing, so nobody can say what this run was made with", self.provenance_file)
            return
        if then.get("task_version", experiment.task.version) != experiment.task.version:
            raise RunFolderError(
                f"this run was made with version {then.get('task_version')} of its task, but this is version "
                f"{experiment.task.version}, which behaves differently; use the code of revision {then.get('revision')}"
            )
        now, files = provenance(), own_files(experiment)
        if then.get("files", files) != files:
            raise changed_files(self.name, then["files"], files)
        if different := differences(then, now):
            log.warning("made with %s: last bits may differ", ", ".join(different))
        if then.get("revision") != now["revision"] and not self.is_checkpoint:
            log.warning(
                "made with revision %s, continued with %s: the changelog names changes of last bits",
                then.get("revision"),
                now["revision"],
            )

    def losses(self) -> Float[np.ndarray, "generation member"]:
        """Losses of every generation so far."""
        return read(self.journal_file).losses

    def open_journal(self, losses_per_generation: int) -> Journal:
        """The journal, ready for the next generation."""
        return Journal(self.journal_file, losses_per_generation, tag_of(self._experiment()))

    def save_snapshot(self, generation: int, state: State) -> None:
        """Save the state before `generation`."""
        save_snapshot(self.snapshots, generation, state, self._experiment())

    def _experiment(self) -> str | None:
        """The hash of this run's experiment; None in runs of before."""
        return experiments[-1] if (experiments := experiments_of(self.origin())) else None
