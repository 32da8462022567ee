"""How an experiment scales on a cluster: measured with some of its workers, and predicted for more from the costs of one."""

import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from es_randomized import compilation
from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import dump
from es_randomized.distributed.resolution import resolved_there
from es_randomized.distributed.session import connect
from es_randomized.drivers.evolution import Evolution
from es_randomized.scaling.calibrate import Calibration
from es_randomized.scaling.crowding import crowded_speed
from es_randomized.scaling.instrument import InstrumentedEvaluator
from es_randomized.scaling.measure import Numbers, doubling, efficiency, interleaved, measured, spreads
from es_randomized.scaling.simulation.costs import Cluster, Costs
from es_randomized.scaling.simulation.predict import Prediction, predict
from es_randomized.scaling.simulation.simulate import simulate

CALLS = 10_000  # simulated for a row, about: a second
GENERATIONS = 20  # simulated beside a measured row


@dataclass(frozen=True)
class Scaling:
    """What was measured.

    Attributes:
        experiment: resolved, as a tree.
        chunks: of a generation.
        cores: that all workers share; None on a cluster, where it is not known whose cores are neighbours.
        crowded: speed of a core while all of them compute, against one that computes alone.
        costs: of one worker alone.
        here: whether the coordinator computes updates, by the number of workers.
        measured: by the number of workers: what its generations cost.
    """

    experiment: dict[str, Any]
    chunks: int
    cores: int | None
    crowded: float
    costs: Costs
    here: dict[int, bool]
    measured: dict[int, dict[str, Numbers]]

    def simulated(self, workers: int) -> float:
        """Generations per second that the simulator makes of a measured case."""
        cluster = Cluster(workers, self.cores or math.inf, self.crowded, per_machine=workers if self.cores else 1)
        return simulate(self.costs, cluster, self.chunks, GENERATIONS, self.here[workers]).generations_per_second

    def predicted(self, workers: Sequence[int], here: bool, weak: bool) -> list[Prediction]:
        """Rows for other numbers of workers, each with a core or accelerator of its own.

        Args:
            here: the coordinator computes updates.
            weak: the population grows with the workers.
        """
        chunks_of = (lambda count: self.chunks * count) if weak else (lambda _: self.chunks)
        return predict(self.costs, workers, chunks_of, here, Cluster(1), calls=CALLS)


def measure_scaling(
    experiment: Experiment,
    workers: int | None,
    devices: int,
    address: str | None,
    seconds: float,
    repetitions: int,
    say: Callable[[str], None],
) -> Scaling:
    """Measure an experiment with 1, 2, 4, ... workers of a cluster.

    Args:
        workers: at most; None: as many as the cluster can take.
        devices: accelerators, or else cores, of each.
        address: of a running cluster; None: start one here.
        seconds: of each row and repetition.
        say: told what happens next, in a line.

    Raises:
        ClusterError: the cluster cannot be reached, or its workers do not start.
    """
    with ExitStack() as stack:
        stack.enter_context(connect(workers and workers * devices, address))
        compilation.configure(platform="cpu")  # accelerators of the cluster are the workers'
        evolution = Evolution.of(resolved_there(experiment, devices))
        evaluator = stack.enter_context(InstrumentedEvaluator(evolution, workers, devices))
        counts, calibration, speeds = doubling(len(evaluator.everyone)), Calibration(), list[float]()
        cores = None if address else compilation.usable_cores()
        # On a cluster, busy cores are taken to be as fast as one alone.
        neighbours = min(cores or 1, counts[-1])
        duration = (len(counts) + 2) * seconds * repetitions + 3 * seconds
        say(f"{evolution.title}: {counts[-1]} workers ready; about {duration:.0f} s")
        say(f"handing out, as a run would: {evaluator.shape.fanout} ({evaluator.shape.why}); measured flat")

        def calibrate(_: int) -> None:
            calibration.observe(evaluator, seconds / 2)
            speeds.append(crowded_speed(evaluator, neighbours, seconds / 2) if neighbours > 1 else 1.0)

        rows = interleaved(counts, lambda count: measured(evaluator, count, seconds, None), repetitions, calibrate)
        calibration.observe_crowd(evaluator, seconds)
        return Scaling(
            experiment=dump(evolution.experiment),
            chunks=len(evolution.chunks),
            cores=cores,
            crowded=statistics.median(speeds),
            costs=calibration.costs(evolution),
            here={count: _updates_here(evaluator, count) for count in counts},
            measured={
                count: spreads(repeated) | {"efficiency": efficiency(rows[1], repeated, count)}
                for count, repeated in rows.items()
            },
        )


def _updates_here(evaluator: InstrumentedEvaluator, workers: int) -> bool:
    """Whether the coordinator computes updates with so many workers."""
    evaluator.use_first(workers)
    parts = evaluator.evolution.strategy.parts
    return parts is None or evaluator.updates_here(parts)
