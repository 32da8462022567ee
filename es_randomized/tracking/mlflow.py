"""MLflow: one run there for every run folder, continued when the run is resumed. MLFLOW_TRACKING_URI says where."""

import os
import time

from es_randomized.config.yaml import dump
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import MetricsRow
from es_randomized.tracking.tracker import Tracker, check_package, identity, named

EXPERIMENT, TAG = "es-randomized", "es_randomized.run"
PARAMS_AT_ONCE = 100


class MLflow(Tracker):
    """A tracker of the run in `folder`, in the experiment MLFLOW_EXPERIMENT_NAME or es-randomized."""

    def __init__(self, folder: RunFolder) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        earlier = self._client.search_runs([experiment], f"tags.`{TAG}` = '{identity(folder)}'")
        if earlier:
            self._run = earlier[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
        else:
            tags = {TAG: identity(folder)}
            self._run = self._client.create_run(experiment, tags=tags, run_name=folder.path.name).info.run_id
            settings = [Param(name, value) for name, value in flat(dump(folder.experiment())).items()]
            for begin in range(0, len(settings), PARAMS_AT_ONCE):
                self._client.log_batch(self._run, params=settings[begin : begin + PARAMS_AT_ONCE])

    @classmethod
    def check(cls) -> None:
        check_package("mlflow")

    def log(self, generation: int, row: MetricsRow) -> None:
        from mlflow.entities import Metric

        now = int(1e3 * time.time())
        metrics = [Metric(name, value, now, generation) for name, value in named(row).items()]
        self._client.log_batch(self._run, metrics=metrics, synchronous=False)

    def close(self) -> None:
        self._client.set_terminated(self._run)


def flat(tree: dict[str, object], above: str = "") -> dict[str, str]:
    """Settings by their dotted names."""
    settings: dict[str, str] = {}
    for name, value in tree.items():
        settings |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": str(value)}
    return settings
