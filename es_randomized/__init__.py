"""Discover randomized algorithms by evolution: transformers that use a random seed so well that no input is bad for them.

Start with `load` (an experiment), `Evolution.of` (the experiment made executable), `train` (the loop) and `evaluate`.
"""

from es_randomized.configuration import build, dump, load
from es_randomized.drivers.evolution import Evolution
from es_randomized.evaluator import Evaluator, LocalEvaluator
from es_randomized.experiment import Experiment
from es_randomized.runs.folder import RunFolder
from es_randomized.train import Step, train

from es_randomized.evaluation.evaluate import evaluate  # isort: skip  (the function, not the package's module)

__all__ = [
    "Evaluator",
    "Evolution",
    "Experiment",
    "LocalEvaluator",
    "RunFolder",
    "Step",
    "build",
    "dump",
    "evaluate",
    "load",
    "train",
]
