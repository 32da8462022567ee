"""Discover randomized algorithms by evolution: transformers that use a random seed so well that no input is bad for them."""

from es_randomized.config.experiment import Experiment
from es_randomized.config.yaml import build, dump, load
from es_randomized.drivers.driver import Driver, Evaluator
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.gradient import Gradient
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.local_evaluator import LocalEvaluator, local_evaluator
from es_randomized.runs.folder import RunFolder
from es_randomized.service import Listener, evaluate, resume, train_run
from es_randomized.session import RunResult, TrainingSession
from es_randomized.train import Step, train

__all__ = [
    "Driver",
    "Evaluator",
    "Evolution",
    "Experiment",
    "Gradient",
    "Listener",
    "LocalEvaluator",
    "RunFolder",
    "RunResult",
    "Step",
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
