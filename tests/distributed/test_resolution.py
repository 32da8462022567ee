"""Who makes a plan: a worker where it has another kind of device, if one is free in time."""

import os
import time
from unittest import mock

import pytest
import ray

from es_randomized import load
from es_randomized.distributed.ray_internals import several_nodes
from es_randomized.distributed.resolution import resolved_there
from es_randomized.distributed.session import connect
from es_randomized.errors import WorkerError
from tests.tools.command import TINY
from tests.tools.nodes import ENVIRONMENT


@ray.remote(num_gpus=1)
class Other:
    """Another run, which has the only GPU."""

    def there(self) -> bool:
        return True


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore:os.fork")  # Ray's forks become other programs at once, whatever JAX computed before
def test_a_busy_cluster_is_not_waited_for_without_end() -> None:
    with mock.patch.dict(os.environ, ENVIRONMENT):
        nodes = several_nodes({"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 * 2**20})
        try:
            with connect(None, nodes.address):
                other = Other.remote()
                assert ray.get(other.there.remote())
                began = time.monotonic()
                with pytest.raises(WorkerError, match="no GPU made a plan within 2 s: does another run have them all"):
                    resolved_there(load(TINY, {"plan": {"chunk": "auto"}}), 1, 2.0)
                assert 2 < time.monotonic() - began < 20
        finally:
            nodes.shutdown()
