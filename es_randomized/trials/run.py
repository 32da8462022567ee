"""Run the trials of a study: on Ray (runner.py), or in this process, one group after the other."""

from collections.abc import Callable
from contextlib import closing
from typing import TypedDict

from es_randomized import compilation
from es_randomized.session import stopping_gently
from es_randomized.trials.progress import Progress
from es_randomized.trials.queue import Queue, Study
from es_randomized.trials.sweep import Resources
from es_randomized.trials.turns import take_turns


class ClusterOptions(TypedDict):
    """Where trials run.

    Attributes:
        jobs: cores of the local cluster for trials; all by default.
        address: join this running Ray cluster (or `auto`) instead of starting a local one.
        local: do without Ray.
        dashboard_port: serve Ray's dashboard on this local port.
    """

    jobs: int | None
    address: str | None
    local: bool
    dashboard_port: int | None


def run_trials(
    study: Study,
    resources: Resources,
    cluster: ClusterOptions,
    show: Callable[[Progress], None],
    connecting: Callable[[str | None], None],
) -> Queue:
    """Run what is left of a study; starts nothing where nothing is.

    Args:
        resources: of a process.
        show: called with the progress whenever there is some.
        connecting: called with the address before Ray is started or joined.

    Raises:
        ClusterError: the cluster does not answer, or no machine has the resources.
    """
    queue = Queue(study, show)
    if queue.empty:
        return queue
    if cluster["local"]:
        compilation.configure()
        run_here(queue)
        return queue
    from es_randomized.distributed.session import connect

    connecting(cluster["address"])
    with connect(cluster["jobs"], cluster["address"], cluster["dashboard_port"]):
        from es_randomized.trials.runner import run_on_ray

        compilation.configure(platform="cpu")  # accelerators are the trials'
        run_on_ray(queue, resources)
    return queue


def run_here(queue: Queue) -> None:
    """Run what is left. The first Ctrl-C lets the trials in hand save and stop, a second one ends them at once."""
    with stopping_gently() as stop:
        while not stop and (assignments := queue.group()):
            with closing(take_turns(assignments)) as reports:
                for report in reports:
                    queue.take(report)
                    if stop:
                        break
