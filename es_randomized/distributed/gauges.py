"""The run in Ray's own metrics, which Prometheus reads from every machine of the cluster."""

from collections.abc import Callable

from ray.util.metrics import Gauge

from es_randomized.drivers.workers import WorkerStatus
from es_randomized.runs.metrics import MetricsRow
from es_randomized.tracking.tracker import Tracker, named

PREFIX = "es_randomized"


class Gauges(Tracker):
    """A tracker; Ray puts `ray_` before the names and sends them on every few seconds.

    Args:
        run: the label `run` of all of them.
        workers: who works now and who has gone.
    """

    def __init__(self, run: str, workers: Callable[[], list[WorkerStatus]]) -> None:
        self._run, self._workers = run, workers
        self._gauges: dict[str, Gauge] = {}

    def log(self, generation: int, row: MetricsRow) -> None:
        everybody = self._workers()
        present = [worker for worker in everybody if worker.gone is None]
        values = {
            "generation": generation,
            "workers": len(present),
            "workers/lost": sum(worker.lost for worker in everybody),
            "workers/busy_seconds": sum(worker.busy for worker in everybody),
            "units": sum(worker.units for worker in everybody),
            "units/late": sum(worker.late for worker in everybody),
            "units/under_way": sum(worker.under_way for worker in present),
        }
        for name, value in (values | named(row)).items():
            self._gauge(name).set(float(value))

    def close(self) -> None:
        for name in ("workers", "units/under_way"):
            self._gauge(name).set(0.0)

    def _gauge(self, name: str) -> Gauge:
        if name not in self._gauges:
            gauge = Gauge(f"{PREFIX}_{name.replace('/', '_')}", f"es-randomized: {name}", ("run",))
            gauge.set_default_tags({"run": self._run})
            self._gauges[name] = gauge
        return self._gauges[name]
