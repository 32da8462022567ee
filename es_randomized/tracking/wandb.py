"""Weights & Biases: a run there for every run folder, continued when it is resumed; WANDB_MODE=offline needs no server."""

import os
from typing import Any

from es_randomized.config.yaml import dump
from es_randomized.runs.folder import RunFolder
from es_randomized.tracking.tracker import Row, identity, named

PROJECT = "es-randomized"


class WeightsAndBiases:
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

    def log(self, generation: int, row: Row) -> None:
        self._run.log(named(row), step=generation)

    def close(self) -> None:
        self._run.finish()
