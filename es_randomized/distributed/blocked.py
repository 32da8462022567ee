"""Workers that never answer, to measure what it costs the coordinator to have many."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from es_randomized.distributed.pool import WorkerHandle
from es_randomized.distributed.work import CALLS_PER_WORKER, Call
from es_randomized.distributed.worker import WorkerInfo


@contextmanager
def blocked_workers(count: int, info: WorkerInfo) -> Iterator[list[WorkerHandle]]:
    """So many workers, all of them one process, that say `info` of themselves and have all the calls they can take."""
    remote: Any = ray.remote(num_cpus=0)(_Blocked)
    actor, call = remote.remote(), Call(0, [0], float("inf"))
    try:
        yield [
            WorkerHandle(actor, info, {actor.block.remote(): call for _ in range(CALLS_PER_WORKER)})
            for _ in range(count)
        ]
    finally:
        ray.kill(actor)


class _Blocked:
    """An actor whose calls never return."""

    def block(self) -> None:
        time.sleep(3600)
