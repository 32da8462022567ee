"""Who may work together: workers whose results have the same bits."""

import logging
from collections.abc import Iterable, Mapping

from es_randomized.distributed.worker import WorkerInfo
from es_randomized.errors import ClusterError

log = logging.getLogger(__name__)


def check_compatible(
    info: WorkerInfo, others: Iterable[WorkerInfo], versions: Mapping[str, str | None], mixed: bool
) -> None:
    """Refuse a worker whose results could differ from the others'.

    Args:
        versions: of the coordinator's packages, as far as they decide about bits.
        mixed: accept different kinds of device, whose last bits differ.

    Raises:
        ClusterError: another version of a package, or another kind of device, is on its machine.
    """
    for name, version in versions.items():
        if info.versions.get(name) != version:
            raise ClusterError(
                f"a worker on machine {info.node[:8]} has {name} {info.versions.get(name)}, but this process has "
                f"{version}; install the same on every machine"
            )
    kinds = sorted({other.device for other in others} | {info.device})
    if len(kinds) == 1:
        return
    if not mixed:
        raise ClusterError(
            f"workers are on different kinds of device ({', '.join(kinds)}), whose results differ in the last bits; "
            "use machines of one kind, or accept that a run cannot be repeated exactly: plan.mixed_devices: true"
        )
    log.warning("devices of several kinds work together: %s; last bits depend on who did what", kinds)
