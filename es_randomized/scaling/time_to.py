"""Time to a quality: how long training takes until held-out checks find a target, with 1, 2, 4, ... workers.

As MLPerf HPC reports it: several runs that differ in their seed, of which the fastest and the slowest do not count.
"""

import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import changed
from es_randomized.errors import ConfigError
from es_randomized.evaluation.statistics import LEVELS
from es_randomized.runs.metrics import MetricsRow
from es_randomized.service import train_run


class TimesTo(NamedTuple):
    """Runs with so many workers.

    Attributes:
        seconds: of training of every run, in order of the seeds; infinite where the budget ended first.
    """

    workers: int
    seconds: list[float]

    @property
    def typical(self) -> float:
        """The median without the fastest and the slowest, if there are more than two; it may be infinite."""
        inner = sorted(self.seconds)[1:-1] if len(self.seconds) > 2 else self.seconds
        return statistics.median(inner)


def until(experiment: Experiment, text: str) -> Experiment:
    """The experiment with a target such as p95=0.735.

    Raises:
        ConfigError: it is none, or the task's measure cannot reach it.
    """
    level, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if level not in LEVELS or math.isnan(number):
        raise ConfigError(f"--to {text}: expected average, p95 or worst and a number, such as p95=0.735")
    return changed(experiment, {"budget.until": {level: number}})


def time_to(
    experiment: Experiment,
    counts: list[int],
    devices: int,
    runs: int,
    address: str | None,
    say: Callable[[str], None],
) -> list[TimesTo]:
    """Train until the experiment's target with every number of workers, one seed after the other: a slow hour meets all of them.

    Args:
        counts: of workers.
        devices: of each.
        runs: seeds, from the experiment's own on.
        address: of a running cluster; None: one on this machine for every run.
        say: told of every run, in a line.

    Raises:
        KeyboardInterrupt: a run was interrupted.
    """
    seconds = {count: list[float]() for count in counts}
    for number in range(runs):
        one = changed(experiment, {"seed": experiment.seed + number})
        for count in counts:
            seconds[count].append(_seconds(one, count, devices, address))
            took = seconds[count][-1]
            what = "not within the budget" if math.isinf(took) else f"{took:.1f} s"
            say(f"seed {one.seed}, {count} worker{'s' if count > 1 else ''}: {what}")
    return [TimesTo(count, seconds[count]) for count in counts]


def _seconds(experiment: Experiment, workers: int, devices: int, address: str | None) -> float:
    rows: list[MetricsRow] = []
    with tempfile.TemporaryDirectory() as folder:
        result = train_run(
            experiment,
            Path(folder) / "run",
            workers=workers,
            devices_per_worker=devices,
            address=address,
            evaluate=False,
            on_row=rows.append,
        )
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    return float(rows[-1]["seconds"]) if result.reason == "target reached" else math.inf
