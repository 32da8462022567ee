"""Score trained weights: every instance where they can be listed, fresh seeds, votes, the frozen twin, the references."""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Array, Bool, Float, Int

from es_randomized import rng
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.statistics import Estimate, Rates, rates
from es_randomized.evaluation.votes import best_of, majority
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.experiment import Experiment
from es_randomized.tasks.task import Reference


@dataclass(frozen=True)
class Score:
    """How good one set of weights is.

    Attributes:
        single: one run per instance.
        majority: the most frequent answer of k runs, by k.
        best_of: any of k runs right (answers that can be checked), by k.
        twin: the same weights with one frozen seed for all instances, the luckiest of half of the seeds.
        per_instance: success rate of every instance.
        enumerated: whether the instances are all there are.
        seeds: fresh seeds per instance.
        confidence: of all intervals.
    """

    single: Rates
    majority: dict[int, Rates]
    best_of: dict[int, Rates]
    twin: Rates
    references: list[Reference]
    per_instance: Float[np.ndarray, " instance"]
    enumerated: bool
    seeds: int
    confidence: float

    def by_seed(self) -> dict[str, float]:
        """Shares of the instances that are right with every seed, with some, and with none."""
        always, never = float((self.per_instance == 1).mean()), float((self.per_instance == 0).mean())
        return {"always": always, "depends_on_seed": 1 - always - never, "never": never}

    def to_json(self) -> str:
        """The content of evaluation.json; losses and rates as fractions."""
        sample = {"instances": len(self.per_instance), "enumerated": self.enumerated, "confidence": self.confidence}
        tree: dict[str, Any] = _rates(self.single) | {"sample": sample | {"seeds": self.seeds}}
        for name, by_size in (("majority", self.majority), ("best_of", self.best_of)):
            tree[name] = {
                str(k): _rates(value) | {"sample": sample | {"repeats": self.seeds // k}}
                for k, value in by_size.items()
            }
        tree["by_seed"] = self.by_seed()
        tree["twin"] = _rates(self.twin) | {"sample": sample | {"seeds": 1, "chosen_among": self.seeds // 2}}
        exact = [reference for reference in self.references if reference.kind == "exact"]
        tree["reference"] = exact[0]._asdict() if exact else None
        tree["references"] = [reference._asdict() for reference in self.references]
        return json.dumps(tree, indent=2)

    def to_parquet(self) -> bytes:
        """One row per instance, in the order of the task's enumeration: its number and success rate."""
        table = pa.table({"instance": np.arange(len(self.per_instance)), "success": self.per_instance})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()


def evaluate(experiment: Experiment, weights: Float[Array, " param"]) -> Score:
    """Score flat `weights` as the experiment's `evaluation` section says, on draws training never saw."""
    settings, task = experiment.evaluation, experiment.task
    instances = task.enumerate()
    enumerated = instances is not None
    if instances is None:
        key = rng.address(experiment.seed, rng.Purpose.EVALUATION_INSTANCES)
        instances = np.asarray(task.sample(key, settings.instances))
    seeds = task.seeds(rng.address(experiment.seed, rng.Purpose.EVALUATION_SEEDS), settings.seeds)
    runner = WindowOutcomes if WindowOutcomes.applies(task, experiment.model) else Outcomes
    success, answers = runner(task, experiment.model)(weights, instances, seeds)  # type: ignore[arg-type]
    return score(success, answers, settings.votes, settings.confidence, task.references(), enumerated)


def score(
    success: Bool[np.ndarray, "instance seed"],
    answers: Int[np.ndarray, "instance seed"],
    votes: list[int],
    confidence: float,
    references: list[Reference],
    enumerated: bool,
) -> Score:
    """The score of outcomes, whatever made them."""
    return Score(
        single=rates(success, confidence),
        majority={k: rates(majority(answers, success, k), confidence) for k in votes},
        best_of={k: rates(best_of(success, k), confidence) for k in votes},
        twin=frozen_twin(success),
        references=references,
        per_instance=success.mean(axis=1, dtype=np.float32),
        enumerated=enumerated,
        seeds=success.shape[1],
        confidence=confidence,
    )


def frozen_twin(success: Bool[np.ndarray, "instance seed"]) -> Rates:
    """The deterministic model with the luckiest seed of the first half; its outcomes are 0 or 1 and have no interval."""
    half = success[:, : success.shape[1] // 2]
    frozen = half[:, int(np.argmax(half.mean(axis=0)))]
    values = (float(frozen.mean()), float(np.quantile(frozen, 0.05, method="lower")), float(frozen.min()))
    return Rates(*(Estimate(value, value, value) for value in values))


def _rates(value: Rates) -> dict[str, Any]:
    return {name: estimate._asdict() for name, estimate in value._asdict().items()}
