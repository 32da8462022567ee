"""TPU chips for one process, whatever slice they are part of.

The hosts of a slice are made to run in step: libtpu waits for all of them. Members need no exchange, so every worker takes its
chips as a small machine of their own. Ray says so for one or two chips, but takes the variables away for all chips of a host.
Not tried on hardware by us; users report that it frees a host of a slice (https://github.com/pytorch/xla/issues/7714).
"""

import os
from collections.abc import Sequence

import ray

from es_randomized.errors import ClusterError

BOUNDS = {1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}  # how chips of a host lie, by their number


def take_chips() -> None:
    """Make the TPU chips that Ray gave this process, if any, its own; call it before JAX looks for devices."""
    chips = ray.get_runtime_context().get_accelerator_ids().get("TPU")
    if chips:
        os.environ.update(alone(chips))


def alone(chips: Sequence[str]) -> dict[str, str]:
    """What the environment has to say before libtpu is loaded.

    Args:
        chips: of this host, by number.

    Raises:
        ClusterError: no machine has so many together.
    """
    if len(chips) not in BOUNDS:
        raise ClusterError(f"a worker cannot have {len(chips)} chips of a TPU; use --devices-per-worker 1, 2, 4 or 8")
    own, all_chips = "1,1,1", BOUNDS[len(chips)]
    return {
        "TPU_PROCESS_BOUNDS": own,
        "TPU_HOST_BOUNDS": own,  # its older name
        "TPU_CHIPS_PER_PROCESS_BOUNDS": all_chips,
        "TPU_CHIPS_PER_HOST_BOUNDS": all_chips,
        "TPU_VISIBLE_CHIPS": ",".join(chips),
        "TPU_WORKER_ID": "0",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
