"""The worker as a Ray actor."""

from typing import Any

import ray

from es_randomized.distributed.messages import answer_call
from es_randomized.distributed.tpu_host import take_chips
from es_randomized.distributed.worker import Worker, WorkerInfo


class WorkerActor(Worker):
    """A worker that knows which machine of the cluster it is on, and answers calls."""

    def __init__(self, tree: dict[str, Any], claims: str | None, devices: int = 1) -> None:
        take_chips()
        super().__init__(tree, claims, devices)

    def ready(self, node: str = "") -> WorkerInfo:
        return super().ready(ray.get_runtime_context().get_node_id())

    def call(self, packed: bytes, *large: object) -> bytes:
        """See `messages.send_call`."""
        return answer_call(self, packed, large)
