"""Runs that nobody trained: folders as `export` and `evaluate` write them, with random weights and made-up outcomes."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Evaluation
from es_randomized.config.yaml import dump, write_yaml
from es_randomized.evaluation.evaluate import evaluation_bundles, score
from es_randomized.evaluation.of_runs import write_score
from es_randomized.fitness import parameters
from es_randomized.models.transformer import Transformer
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import SCHEMA
from es_randomized.tasks.associative_recall import AssociativeRecall
from es_randomized.tasks.cycle_colouring import CycleColouring
from es_randomized.tasks.task import Outcome
from es_randomized.tasks.treasure_hunt import TreasureHunt

MODEL = Transformer(width=4, blocks=1, heads=1, key=2, hidden=4, attention="linear")
TASKS = {
    "cycles": CycleColouring(n=5),
    "hunt": TreasureHunt(rows=2, columns=2, steps=4, noise_width=2),
    "recall": AssociativeRecall(n=3, bits=2, noise_width=2),
}
SEEDS = 20


def metrics(shift=0.0):
    rows = [
        {"generation": g, "seconds": 1.0 + g, "device_seconds": 2.0 + g, "rollouts": 100 * (g + 1), "tokens": 700,
         "flops": 5e9, "loss_mean": 9.0 - g, "held_out_average": (0.1 + 0.1 * g + shift) if g % 2 else None,
         "held_out_p95": 0.0, "held_out_worst": 0.0}
        for g in range(6)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, SCHEMA)


class Made:
    """A checkpoint with random weights, as `export` writes it, and the score of outcomes made up for it."""

    def __init__(self, path, task, seed=0, evaluated=True, **changes):
        evaluation = Evaluation(seeds=SEEDS, votes=[3, 5], instances=24)
        self.experiment = Experiment(task=TASKS[task], model=MODEL, evaluation=evaluation, seed=seed, **changes)
        self.generator = np.random.default_rng(seed)
        self.path, self.run = path, RunFolder(path)
        path.mkdir(parents=True)
        (path / "experiment.yaml").write_text(write_yaml(dump(self.experiment)))
        (path / "provenance.json").write_text(json.dumps({"date": "2026-11-22T08:59:36+00:00", "revision": "abc123"}))
        pq.write_table(metrics(0.1 * seed), path / "metrics.parquet")
        weights = self.generator.normal(size=parameters(MODEL, self.experiment.task)).astype(np.float32)
        save_file({"weights": weights}, path / "weights.safetensors")
        if evaluated:
            self.score = self.made_up()
            shutil.copy(write_score(self.run, self.experiment, self.score), self.run.evaluation_file)

    def made_up(self):
        bundles, enumerated = evaluation_bundles(self.experiment)
        shape = (bundles.shape[-1] * self.experiment.task.bundle, SEEDS)
        success = self.generator.uniform(size=shape) < self.generator.uniform(size=(shape[0], 1))
        losses = self.generator.integers(2, 6, shape).astype(np.float32)
        outcome = Outcome(losses, success, np.where(success, 1, self.generator.integers(2, 4, shape)))
        return score(self.experiment, outcome, "seed", bundles, enumerated)
