"""Weights & Biases: a run there for every run folder, continued when it is resumed; WANDB_MODE=offline needs no server."""

import os
from typing import Any

from es_randomized.config.yaml import dump
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import MetricsRow
from es_randomized.tracking.tracker import Tracker, check_package, identity, named

PROJECT = "es-randomized"


class WeightsAndBiases(Tracker):
    """A tracker of the run in `folder`; its files are in the run folder too."""

    def __init__(self, folder: RunFolder) -> None:
        import wandb

        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.path.name,
            id=identity(folder),
            resume="allow",
            config=dump(folder.experiment()),
            dir=folder.path,
            settings=wandb.Settings(console="off", silent=True),  # the terminal is taken
        )

    @classmethod
    def check(cls) -> None:
        check_package("wandb")

    def log(self, generation: int, row: MetricsRow) -> None:
        self._run.log(named(row), step=generation)

    def close(self) -> None:
        self._run.finish()
