"""Plans are made where the work is done: a GPU's chunks follow from its own programs, not from the coordinator's."""

from typing import Any

import ray

from es_randomized.compilation import platform_here
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import build, dump
from es_randomized.distributed.tpu_host import take_chips
from es_randomized.errors import WorkerError


def demands(devices: int) -> tuple[str, dict[str, Any]]:
    """What the cluster computes on, GPU, TPU or CPU, and what Ray calls so many of them."""
    kind = next((kind for kind in ("GPU", "TPU") if ray.cluster_resources().get(kind)), "CPU")
    options: dict[str, dict[str, Any]] = {
        "GPU": {"num_gpus": devices},
        "TPU": {"resources": {"TPU": devices}},
        "CPU": {"num_cpus": devices},
    }
    return kind, options[kind]


def resolved_there(experiment: Experiment, devices: int, seconds: float | None = None) -> Experiment:
    """The experiment with the `auto` entries of its plan resolved by a worker, if workers have another kind of device.

    Args:
        devices: of a worker.
        seconds: to wait for free ones; None: as long as it takes.

    Raises:
        WorkerError: it cannot be resolved there, or nothing was free in time.
    """
    kind, options = demands(devices)
    plan = experiment.plan
    if kind.lower() == platform_here() or "auto" not in (plan.block, plan.tile, plan.chunk):
        return experiment
    asked = ray.remote(max_retries=0, **options)(_resolved).remote(dump(experiment))
    try:
        resolved: Any = ray.get(asked, timeout=seconds)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(asked, force=True)
        raise WorkerError(
            f"no {kind} made a plan within {seconds:.0f} s: does another run have them all (es-randomized cluster status)? "
            "Wait for its end, give more --seconds, or set plan.chunk, plan.tile and plan.block"
        ) from None
    except ray.exceptions.RayTaskError as error:
        raise WorkerError(f"the plan cannot be made on a {kind} worker: {error.cause}") from error
    return build(resolved)


def _resolved(tree: dict[str, Any]) -> dict[str, Any]:
    from es_randomized import compilation

    take_chips()
    compilation.configure()
    from es_randomized.drivers.kinds import driver_of

    return dump(driver_of(build(tree)).experiment)
