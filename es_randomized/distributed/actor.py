"""The worker as a Ray actor."""

import ray

from es_randomized.distributed.messages import answer_call
from es_randomized.distributed.worker import Worker, WorkerInfo


class WorkerActor(Worker):
    """A worker that knows which machine of the cluster it is on, and answers calls."""

    def ready(self, node: str = "") -> WorkerInfo:
        return super().ready(ray.get_runtime_context().get_node_id())

    def call(self, packed: bytes, *large: object) -> bytes:
        """See `messages.send_call`."""
        return answer_call(self, packed, large)
