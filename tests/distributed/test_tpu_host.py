"""What a worker's environment says of its TPU chips before JAX looks for devices."""

import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

from es_randomized.distributed import actor, tpu_host
from es_randomized.distributed.tpu_host import alone
from es_randomized.errors import ClusterError


@pytest.mark.parametrize(("count", "bounds"), [(1, "1,1,1"), (4, "2,2,1"), (8, "2,4,1")])
def test_a_worker_is_a_slice_of_its_own(count, bounds):
    chips = [str(chip) for chip in range(count)]
    says = alone(chips)
    assert says["TPU_PROCESS_BOUNDS"] == says["TPU_HOST_BOUNDS"] == "1,1,1"
    assert says["TPU_CHIPS_PER_PROCESS_BOUNDS"] == bounds
    assert says["TPU_VISIBLE_CHIPS"] == ",".join(chips)
    assert np.prod([int(side) for side in bounds.split(",")]) == count
    assert (says["TPU_WORKER_HOSTNAMES"], says["TPU_WORKER_ID"]) == ("localhost", "0")  # no other host is waited for


def test_chips_that_no_machine_has_together_are_refused():
    with pytest.raises(ClusterError, match="3 chips of a TPU; use --devices-per-worker 1, 2, 4 or 8"):
        alone(["0", "1", "2"])


@pytest.mark.parametrize("chips", [["0", "1", "2", "3"], []])
def test_an_actor_says_so_where_it_has_chips(chips, monkeypatch):
    context = mock.Mock()
    context.get_accelerator_ids.return_value = {"TPU": chips, "GPU": []}
    monkeypatch.setattr(tpu_host.ray, "get_runtime_context", lambda: context)
    slice_of_four = {"TPU_PROCESS_BOUNDS": "2,2,1", "TPU_WORKER_HOSTNAMES": "a,b,c,d", "TPU_WORKER_ID": "3"}
    with mock.patch.dict(os.environ, slice_of_four):
        actor.WorkerActor({}, None, 4)
        expected = slice_of_four | (alone(chips) if chips else {})
        assert {name: os.environ[name] for name in expected} == expected


def test_an_actor_is_made_before_jax_looks_for_devices():
    code = (
        "import es_randomized.distributed.actor, jax; from jax._src import xla_bridge; print(len(xla_bridge._backends))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["0"]
