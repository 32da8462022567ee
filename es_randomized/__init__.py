"""Discover randomized algorithms by evolution: transformers that use a random seed so well that no input is bad for them.

    from es_randomized import evaluate, load, resume, train_run

    experiment = load("configs/demo.yaml", {"driver.population": 512})
    run = train_run(experiment, "runs/mine", workers=2, seconds=600)  # on Ray, every generation in a journal
    if run.reason != "finished":  # out of time, or Ctrl-C
        run = resume("runs/mine", workers=2)  # exactly where it stopped, however it stopped
    print(run.generation, run.score.single.average, run.score.single.worst)
    print("one frozen seed:", evaluate("runs/mine", randomness="none").single.worst)

A run may be at an address, such as s3://bucket/mine; `address` joins a running Ray cluster, and `local=True` does without Ray.
"""

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import build, dump, load
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.gradient import Gradient
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.local_evaluator import LocalEvaluator, local_evaluator
from es_randomized.listener import Listener
from es_randomized.models.model import Model
from es_randomized.objectives.objective import Objective
from es_randomized.runs.folder import RunFolder
from es_randomized.service import evaluate, resume, train_run
from es_randomized.session import RunResult, TrainingSession
from es_randomized.strategies.strategy import Strategy
from es_randomized.tasks.task import Task
from es_randomized.tracking.tracker import Tracker
from es_randomized.train import Step, train

__all__ = [
    "Driver",
    "Evaluator",
    "Evolution",
    "Experiment",
    "Gradient",
    "Listener",
    "LocalEvaluator",
    "Model",
    "Objective",
    "RunFolder",
    "RunResult",
    "Step",
    "Strategy",
    "Task",
    "Tracker",
    "TrainingSession",
    "build",
    "driver_of",
    "dump",
    "evaluate",
    "load",
    "local_evaluator",
    "resume",
    "train",
    "train_run",
]
