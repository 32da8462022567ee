"""The process of some trials on a cluster: asked for reports, it gives those of its trials in turn. A plain class."""

import os

from es_randomized.trials.attempt import Assignment, Report
from es_randomized.trials.sweep import Resources
from es_randomized.trials.turns import take_turns

SHARED_GPU_MEMORY = 0.9  # of a GPU, for all processes on it together


class TrialProcess:
    """Trains and scores trials."""

    def __init__(self, assignments: list[Assignment], resources: Resources) -> None:
        from es_randomized import compilation
        from es_randomized.distributed.cores import claim_cores, claims_folder

        self._claim = claim_cores(claims_folder(), resources.cores)  # before JAX looks how many there are
        if 0 < resources.gpus < 1:
            os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{SHARED_GPU_MEMORY * resources.gpus:.3f}"
        compilation.configure(devices=resources.cores, platform=None if resources.gpus else "cpu")
        self._turns = take_turns(assignments)

    def next(self) -> Report | None:
        """The next report; None when all trials have ended."""
        return next(self._turns, None)

    def close(self) -> None:
        """Save the trials that are not at their end."""
        self._turns.close()
