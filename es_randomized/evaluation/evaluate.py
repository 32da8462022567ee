"""Score trained weights: every instance where they can be listed, fresh seeds, votes, the frozen twin, the references."""

import io
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Array, Float, Int

from es_randomized import rng
from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import Randomness, repeated_runs
from es_randomized.evaluation.statistics import Estimate, Losses, Rates, exact, loss_rates, losses_of, rates
from es_randomized.evaluation.votes import best_of, majority
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.tasks.task import Bundles, Outcome, Reference, Task


class WorstGroup(NamedTuple):
    """The worst of several groups of instances: which one, and its success rate or loss."""

    group: int
    rate: Estimate


@dataclass(frozen=True)
class Score:
    """How good one set of weights is, in the task's headline: success rates, or losses in task units.

    Attributes:
        headline: success or loss.
        unit: of the loss.
        single: one run per instance.
        majority: success of the most frequent answer of k runs, by k.
        best_of: whether any of k runs is right (answers that can be checked), by k.
        twin: the same weights with one frozen seed for all instances, the luckiest of half of the seeds.
        groups: the worst group of instances by what groups them (a query position, for example).
        by_group: the average of every group, in the order of the groups' numbers.
        references: what is known, in the same headline.
        per_instance: the headline of every instance, averaged over runs.
        success: success rate of every instance.
        labels: the groups every instance belongs to.
        enumerated: whether the instances are all there are.
        randomness: what differed between runs.
        runs: per instance.
        confidence: of all intervals.
        losses: in task units; None where they were not computed or the outputs are sampled.
    """

    headline: str
    unit: str
    single: Rates
    majority: dict[int, Rates]
    best_of: dict[int, Rates]
    twin: Rates | None
    groups: dict[str, WorstGroup]
    by_group: dict[str, list[Estimate]]
    references: list[Reference]
    per_instance: Float[np.ndarray, " instance"]
    success: Float[np.ndarray, " instance"]
    labels: dict[str, Int[np.ndarray, " instance"]]
    enumerated: bool
    randomness: Randomness
    runs: int
    confidence: float
    losses: Losses | None = None

    def by_run(self) -> dict[str, float]:
        """Shares of the instances that are right in every run, in some, and in none."""
        always, never = self.success == 1, self.success == 0
        shares = {"always": always, "depends_on_seed": ~always & ~never, "never": never}
        return {name: float(which.mean()) for name, which in shares.items()}

    def to_json(self) -> str:
        """The content of evaluation.json; rates as fractions, losses in task units."""
        sample = {"instances": len(self.success), "enumerated": self.enumerated, "confidence": self.confidence}
        tree: dict[str, Any] = {"headline": self.headline, "unit": self.unit, "randomness": self.randomness}
        tree |= _rates(self.single) | {"sample": sample | {"seeds": self.runs}}
        for name, by_size in (("majority", self.majority), ("best_of", self.best_of)):
            tree[name] = {
                str(k): _rates(value) | {"sample": sample | {"repeats": self.runs // k}} for k, value in by_size.items()
            }
        tree["by_seed"] = self.by_run()
        if self.losses:
            tree["loss"] = _rates(self.losses)
        if self.twin:
            tree["twin"] = _rates(self.twin) | {"sample": sample | {"seeds": 1, "chosen_among": self.runs // 2}}
        tree["worst_group"] = {name: {"group": g.group} | g.rate._asdict() for name, g in self.groups.items()}
        tree["by_group"] = {name: [part._asdict() for part in parts] for name, parts in self.by_group.items()}
        proven = [reference for reference in self.references if reference.kind == "exact"]
        tree["reference"] = proven[0]._asdict() if proven else None
        tree["references"] = [reference._asdict() for reference in self.references]
        return json.dumps(tree, indent=2)

    def to_parquet(self) -> bytes:
        """One row per instance, in the order of the task's enumeration: its number, groups, success rate and loss."""
        columns = {"instance": np.arange(len(self.success)), **self.labels, "success": self.success}
        if self.headline == "loss":
            columns["loss"] = self.per_instance
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer)
        return buffer.getvalue()


def evaluate(
    experiment: Experiment,
    *weights: Float[Array, " param"],
    randomness: Randomness | None = None,
    runner: Any = None,
) -> Score:
    """Score flat weights as the experiment's `evaluation` section says, on draws training never saw.

    Args:
        weights: one set, or several for an ensemble.
        randomness: what differs between runs; by default the seed, or nothing for a model trained on one fixed seed.
        runner: of the kind `runner_of` says, with its compiled program; a new one by default.
    """
    source = randomness or own_randomness(experiment)
    bundles, enumerated = evaluation_bundles(experiment)
    outcome = outcomes(experiment, bundles, *weights, randomness=source, runner=runner)
    return score(experiment, outcome, source, bundles, enumerated)


def outcomes(
    experiment: Experiment,
    bundles: Bundles,
    *weights: Float[Array, " param"],
    randomness: Randomness,
    runner: Any = None,
) -> Outcome:
    """What comes of every instance in every run, `[instance, run]`; no losses where windows do without them."""
    repeated = repeated_runs(experiment, jnp.stack(weights), randomness, experiment.evaluation.seeds)
    run = runner or runner_of(experiment)(experiment.task, experiment.model)
    return run(repeated, bundles)


def runner_of(experiment: Experiment) -> Any:
    """What runs policies, made with (task, model)."""
    return WindowOutcomes if WindowOutcomes.applies(experiment.task, experiment.model) else Outcomes


def headline(task: Task, outcome: Outcome) -> np.ndarray:
    """What a task's tables are about, `[instance, run]`: successes or losses."""
    return np.asarray(outcome.loss if task.headline == "loss" else outcome.success)


def own_randomness(experiment: Experiment) -> Randomness:
    """What differs between runs unless somebody asks for something else."""
    return "none" if experiment.batch.fixed_seed else "seed"


def evaluation_bundles(experiment: Experiment) -> tuple[Bundles, bool]:
    """What is evaluated, and whether that is all there is."""
    everything = experiment.task.enumerate()
    if everything is not None:
        return everything, True
    key = rng.address(experiment.seed, rng.Purpose.EVALUATION_INSTANCES)
    count = -(-experiment.evaluation.instances // experiment.task.bundle)
    return np.asarray(experiment.task.evaluation_sample(key, count)), False


def score(
    experiment: Experiment, outcome: Outcome, randomness: Randomness, bundles: Bundles, enumerated: bool
) -> Score:
    """The score of outcomes `[instance, run]`, whatever made them."""
    task, settings = experiment.task, experiment.evaluation
    success, answer = np.asarray(outcome.success), np.asarray(outcome.answer)
    votes = [k for k in settings.votes if 2 * k <= success.shape[1]]
    values = headline(task, outcome)
    labels = task.labels(bundles)
    return Score(
        headline=task.headline,
        unit=task.unit,
        single=_single(task, values, settings.confidence),
        majority={k: rates(majority(answer, success, k), settings.confidence) for k in votes},
        best_of={k: rates(best_of(success, k), settings.confidence) for k in votes},
        twin=frozen_twin(task, values) if randomness == "seed" else None,
        groups={name: _worst_group(task, values, group, settings.confidence) for name, group in labels.items()},
        by_group={name: _by_group(task, values, group, settings.confidence) for name, group in labels.items()},
        references=task.references(),
        per_instance=values.mean(axis=1, dtype=np.float32),
        success=success.mean(axis=1, dtype=np.float32),
        labels=labels,
        enumerated=enumerated,
        randomness=randomness,
        runs=success.shape[1],
        confidence=settings.confidence,
        losses=_losses(outcome, randomness, settings.confidence),
    )


def frozen_twin(task: Task, values: np.ndarray) -> Rates:
    """The deterministic model with the luckiest seed of the first half; its values have no interval."""
    half = values[:, : values.shape[1] // 2].mean(axis=0)
    if task.headline == "loss":
        return exact(values[:, int(np.argmin(half))], lower_is_better=True)
    return exact(values[:, int(np.argmax(half))].astype(float))


def _single(task: Task, values: np.ndarray, confidence: float) -> Rates:
    return loss_rates(values, confidence, task.largest_loss) if task.headline == "loss" else rates(values, confidence)


def _worst_group(task: Task, values: np.ndarray, group: Int[np.ndarray, " instance"], confidence: float) -> WorstGroup:
    """Groups are averaged run by run; then the worst one is found as the worst instance is."""
    means = _group_means(values, group)
    losses = means if task.headline == "loss" else 1 - means
    chosen = np.unique(group)[int(np.argmax(losses[:, : max(1, losses.shape[1] // 2)].mean(axis=1)))]
    worst = loss_rates(losses, confidence, _largest(task)).worst
    if task.headline == "loss":
        return WorstGroup(int(chosen), worst)
    return WorstGroup(int(chosen), Estimate(1 - worst.value, 1 - worst.high, 1 - worst.low))


def _by_group(task: Task, values: np.ndarray, group: Int[np.ndarray, " instance"], confidence: float) -> list[Estimate]:
    means = _group_means(values, group)
    return [loss_rates(row[None], confidence, _largest(task)).average for row in means]


def _group_means(values: np.ndarray, group: Int[np.ndarray, " instance"]) -> Float[np.ndarray, "group run"]:
    return np.stack([values[group == name].mean(axis=0) for name in np.unique(group)])


def _largest(task: Task) -> float:
    """The largest value of the headline."""
    return task.largest_loss if task.headline == "loss" else 1.0


def _losses(outcome: Outcome, randomness: Randomness, confidence: float) -> Losses | None:
    """None where they were not computed, or would be those of outputs with sampling noise on them."""
    if outcome.loss is None or randomness == "sampled":
        return None
    return losses_of(np.asarray(outcome.loss), confidence)


def _rates(value: Rates | Losses) -> dict[str, Any]:
    parts = value._asdict()
    return {name: part._asdict() if isinstance(part, Estimate) else part for name, part in parts.items()}
