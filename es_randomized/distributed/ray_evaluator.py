"""Evaluate chunks on Ray workers, whoever they are and whoever dies.

Chunks are handed out as workers become free, two in flight each so that nobody waits for a message; floats come back in
any order and are placed by id. A worker that dies is replaced in the background and its chunks are handed out again. An
exception in the code of a task stops the run: evaluating again would only raise it again.
"""

import logging
from collections import Counter, deque
from typing import Any

import jax
import numpy as np
import ray
from jaxtyping import Float

from es_randomized.configuration import dump
from es_randomized.distributed.cores import claims_folder
from es_randomized.distributed.worker import Worker
from es_randomized.drivers.driver import Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.errors import ClusterError, WorkerError
from es_randomized.strategies.strategy import Draw

IN_FLIGHT = 2
DEATHS_PER_CHUNK = 3
FAILED_STARTS = 3
DEMANDS: dict[str | None, dict[str, Any]] = {
    "GPU": {"num_gpus": 1},
    "TPU": {"resources": {"TPU": 1}},
    None: {"num_cpus": 1},
}

log = logging.getLogger(__name__)


class RayEvaluator(Evaluator):
    """A pool of workers on the current Ray session; see `session.connect`.

    Args:
        evolution: the resolved experiment.
        workers: how many; one per accelerator of the cluster, else one per CPU, by default.

    Raises:
        ClusterError: the workers do not start.
    """

    def __init__(self, evolution: Evolution, workers: int | None = None) -> None:
        self.evolution = evolution
        self.replaced = 0
        resources = ray.cluster_resources()
        accelerator = next((kind for kind in ("GPU", "TPU") if resources.get(kind)), None)
        self.size = workers or int(resources.get(accelerator or "CPU", 1))
        self._actor: Any = ray.remote(max_restarts=0, max_task_retries=0, **DEMANDS[accelerator])(Worker)
        session = ray.get_runtime_context().get_job_id()
        claims = None if accelerator else claims_folder(f"{ray.get_runtime_context().gcs_address}-{session}")
        self._arguments = (dump(evolution.experiment), claims)
        self._workers: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._begun: dict[Any, Any] = {}
        self._failed_starts = 0
        for _ in range(self.size):
            self._start_worker()
        while len(self._workers) < self.size:
            self._admit(_first_ready(list(self._starting)))

    def evaluate(self, draw: Draw) -> Float[np.ndarray, " member"]:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(draw.state)]
        state = ray.put(leaves)
        for worker in self._workers:
            self._begin(worker, draw.generation, state)
        results: dict[int, bytes] = {}
        pending = deque(range(len(self.evolution.chunks)))
        flying: dict[Any, tuple[Any, int]] = {}
        deaths: Counter[int] = Counter()
        while len(results) < len(self.evolution.chunks):
            self._hand_out(draw.generation, pending, flying)
            for ready in _first_ready([*flying, *self._starting]):
                if ready in self._starting:
                    for worker in self._admit([ready]):
                        self._begin(worker, draw.generation, state)
                elif ready in flying:
                    worker, chunk = flying.pop(ready)
                    losses = self._collect(worker, ready, draw.generation, chunk)
                    if losses is None:
                        lost = [chunk, *self._bury(worker, flying)]
                        self._count_deaths(deaths, lost[:1], draw.generation)
                        pending.extendleft(reversed(lost))
                    else:
                        results[chunk] = losses
        return self._in_id_order(results)

    def close(self) -> None:
        for worker in [*self._workers, *self._starting.values()]:
            ray.kill(worker)
        self._workers, self._starting = [], {}

    def _hand_out(self, generation: int, pending: deque[int], flying: dict[Any, tuple[Any, int]]) -> None:
        load = Counter(id(worker) for worker, _ in flying.values())
        for depth in range(1, IN_FLIGHT + 1):
            for worker in self._workers:
                if pending and load[id(worker)] < depth:
                    chunk = pending.popleft()
                    flying[worker.evaluate.remote(generation, chunk)] = (worker, chunk)
                    load[id(worker)] += 1

    def _collect(self, worker: Any, ready: Any, generation: int, chunk: int) -> bytes | None:
        """Losses of a finished call, or None where its worker died."""
        try:
            return bytes(ray.get(ready))
        except ray.exceptions.RayActorError:
            return None
        except ray.exceptions.RayTaskError as error:
            ray.get(self._begun[worker])  # raises what went wrong before the chunk, if that is the cause
            ids = self.evolution.chunks[chunk]
            raise WorkerError(
                f"the evaluation of members {ids[0]}..{ids[-1]} of generation {generation} raised {_cause(error)}"
            ) from error

    def _bury(self, worker: Any, flying: dict[Any, tuple[Any, int]]) -> list[int]:
        """Forget a dead worker, start another, and return the chunks it still had."""
        lost = {reference: chunk for reference, (owner, chunk) in flying.items() if owner is worker}
        for reference in lost:
            del flying[reference]
        if worker in self._workers:
            self._workers.remove(worker)
            del self._begun[worker]
            self.replaced += 1
            log.warning("a worker died; starting another (%d replaced so far)", self.replaced)
            self._start_worker()
        return sorted(lost.values())

    def _count_deaths(self, deaths: Counter[int], chunks: list[int], generation: int) -> None:
        deaths.update(chunks)
        for chunk in chunks:
            if deaths[chunk] >= DEATHS_PER_CHUNK:
                ids = self.evolution.chunks[chunk]
                raise WorkerError(
                    f"members {ids[0]}..{ids[-1]} of generation {generation} killed {deaths[chunk]} workers in a row; "
                    "most often memory: lower plan.chunk or plan.memory_mib"
                )

    def _start_worker(self) -> None:
        worker = self._actor.remote(*self._arguments)
        self._starting[worker.ready.remote()] = worker

    def _admit(self, ready: list[Any]) -> list[Any]:
        """Move workers that finished starting into the pool; start others for those that failed."""
        admitted = []
        for reference in ready:
            worker = self._starting.pop(reference)
            try:
                ray.get(reference)
            except ray.exceptions.RayActorError as error:
                self._failed_starts += 1
                if self._failed_starts >= FAILED_STARTS:
                    raise ClusterError(f"workers keep failing to start; the last one: {_reason(error)}") from error
                self._start_worker()
            except ray.exceptions.RayTaskError as error:
                raise WorkerError(f"a worker could not start: {_cause(error)}") from error
            else:
                self._failed_starts = 0
                self._workers.append(worker)
                admitted.append(worker)
        return admitted

    def _begin(self, worker: Any, generation: int, state: Any) -> None:
        self._begun[worker] = worker.begin.remote(generation, state)

    def _in_id_order(self, results: dict[int, bytes]) -> Float[np.ndarray, " member"]:
        losses = b"".join(results[chunk] for chunk in range(len(self.evolution.chunks)))
        return np.frombuffer(losses, np.float32)[: self.evolution.strategy.population].copy()


def _first_ready(references: list[Any]) -> list[Any]:
    ready, _ = ray.wait(references, num_returns=1)
    return list(ready)


def _cause(error: Any) -> str:
    return f"{type(error.cause).__name__}: {error.cause}"


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
