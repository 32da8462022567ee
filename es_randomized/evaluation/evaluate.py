"""Score trained weights: every instance where they can be listed, fresh seeds, votes, the frozen twin, the references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from es_randomized import rng
from es_randomized.config.experiment import Experiment
from es_randomized.evaluation.mixture import Mixture, mixture_of
from es_randomized.evaluation.outcomes import Outcomes
from es_randomized.evaluation.randomness import Randomness, RepeatedRuns, repeated_runs
from es_randomized.evaluation.statistics import (
    Estimate,
    Levels,
    Losses,
    Matrix,
    exact,
    levels,
    losses_of,
    mean_estimate,
)
from es_randomized.evaluation.votes import best_of, majority
from es_randomized.evaluation.windows import WindowOutcomes
from es_randomized.tasks.measure import SUCCESS, Measure
from es_randomized.tasks.task import Bundles, Outcome, Reference

Groups = Int[np.ndarray, " instance"]
Pooled = dict[int, Bool[np.ndarray, "instance vote"]]  # whether pooled votes of k runs are right, by k


@runtime_checkable
class Runner(Protocol):
    """Runs policies on instances, as `Outcomes` does."""

    def __call__(self, runs: RepeatedRuns, bundles: Bundles) -> Outcome:
        """What comes of every instance in every run, `[instance, run]`."""

    def with_votes(self, runs: RepeatedRuns, bundles: Bundles, sizes: Sequence[int]) -> tuple[Outcome, Pooled]:
        """The same, and whether pooled votes of k runs are right, by k."""


class WorstGroup(NamedTuple):
    """The worst of several groups of instances: which one, and what is measured of it."""

    group: int
    estimate: Estimate


@dataclass(frozen=True)
class Score:
    """How good one set of weights is.

    Attributes:
        measure: what the numbers are of, unless they say otherwise.
        single: one run per instance.
        majority: success of the most frequent answer of k runs, by k.
        pooled: success of the likeliest answer when k runs add up their log-probabilities, by k; empty where a task or what
            runs differ in has none.
        best_of: whether any of k runs is right (answers that can be checked), by k.
        twin: the same weights with one frozen seed for all instances, the luckiest of half of the seeds.
        groups: the worst group of instances by what groups them (a query position, for example).
        by_group: the average of every group, in the order of the groups' numbers.
        references: what is known, in the same measure.
        per_instance: of every instance, averaged over runs.
        success: success rate of every instance.
        labels: the groups every instance belongs to.
        enumerated: whether the instances are all there are.
        randomness: what differed between runs.
        runs: per instance.
        confidence: of all intervals.
        losses: in task units; None where they were not computed or the outputs are sampled.
        mixture: what seeds choose among, of a model whose seeds choose among a few policies, where all inputs can be listed.
    """

    measure: Measure
    single: Levels
    majority: dict[int, Levels]
    best_of: dict[int, Levels]
    twin: Levels | None
    groups: dict[str, WorstGroup]
    by_group: dict[str, list[Estimate]]
    references: list[Reference]
    per_instance: Float[np.ndarray, " instance"]
    success: Float[np.ndarray, " instance"]
    labels: dict[str, Groups]
    enumerated: bool
    randomness: Randomness
    runs: int
    confidence: float
    losses: Losses | None = None
    pooled: dict[int, Levels] = field(default_factory=dict)
    mixture: Mixture | None = None

    def by_run(self) -> dict[str, float]:
        """Shares of the instances that are right in every run, in some, and in none."""
        always, never = self.success == 1, self.success == 0
        shares = {"always": always, "depends_on_seed": ~always & ~never, "never": never}
        return {name: float(which.mean()) for name, which in shares.items()}


def evaluate(
    experiment: Experiment,
    *weights: Float[Array, " param"],
    randomness: Randomness | None = None,
    runner: Runner | None = None,
) -> Score:
    """Score flat weights as the experiment's `evaluation` section says, on draws training never saw.

    Args:
        weights: one set, or several for an ensemble.
        randomness: what differs between runs; by default the seed, or nothing for a model trained on one fixed seed.
        runner: of the kind `runner_of` says, with its compiled program; a new one by default.
    """
    source = randomness or own_randomness(experiment)
    bundles, enumerated = evaluation_bundles(experiment)
    outcome, pooled = outcomes(experiment, bundles, *weights, randomness=source, runner=runner)
    found = score(experiment, outcome, source, bundles, enumerated, pooled)
    if source != "seed" or not enumerated:
        return found
    return replace(found, mixture=mixture_of(experiment, weights[0], bundles, outcome))


def outcomes(
    experiment: Experiment,
    bundles: Bundles,
    *weights: Float[Array, " param"],
    randomness: Randomness,
    runner: Runner | None = None,
) -> tuple[Outcome, Pooled]:
    """What comes of every instance in every run, `[instance, run]`, and of pooled votes.

    There are no losses where windows do without them.
    """
    repeated = repeated_runs(experiment, jnp.stack(weights), randomness, experiment.evaluation.seeds)
    run = runner or runner_of(experiment)(experiment.task, experiment.model)
    return run.with_votes(repeated, bundles, vote_sizes(experiment, repeated.size))


def vote_sizes(experiment: Experiment, runs: int) -> list[int]:
    """Of votes that can be repeated over the runs there are."""
    return [k for k in experiment.evaluation.votes if 2 * k <= runs]


def runner_of(experiment: Experiment) -> type[Any]:
    """What runs policies, made with (task, model)."""
    return WindowOutcomes if WindowOutcomes.applies(experiment.task, experiment.model) else Outcomes


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
    experiment: Experiment,
    outcome: Outcome,
    randomness: Randomness,
    bundles: Bundles,
    enumerated: bool,
    pooled: Mapping[int, Bool[np.ndarray, "instance vote"]] = MappingProxyType({}),
) -> Score:
    """The score of outcomes `[instance, run]`, whatever made them.

    Args:
        pooled: whether pooled votes of k runs are right, by k.
    """
    task, settings = experiment.task, experiment.evaluation
    measure, confidence = task.measure, settings.confidence
    success, answer, values = np.asarray(outcome.success), np.asarray(outcome.answer), measure.values(outcome)
    votes = vote_sizes(experiment, success.shape[1])
    labels = task.labels(bundles)
    # Losses of sampled outputs have sampling noise on them.
    losses = None if outcome.loss is None or randomness == "sampled" else outcome.loss
    return Score(
        measure=measure,
        single=levels(values, measure, confidence),
        majority={k: levels(majority(answer, success, k), SUCCESS, confidence) for k in votes},
        best_of={k: levels(best_of(success, k), SUCCESS, confidence) for k in votes},
        pooled={k: levels(right, SUCCESS, confidence) for k, right in pooled.items()},
        twin=frozen_twin(values, measure) if randomness == "seed" else None,
        groups={name: _worst_group(values, group, measure, confidence) for name, group in labels.items()},
        by_group={name: _by_group(values, group, measure, confidence) for name, group in labels.items()},
        references=task.references(),
        per_instance=values.mean(axis=1, dtype=np.float32),
        success=success.mean(axis=1, dtype=np.float32),
        labels=labels,
        enumerated=enumerated,
        randomness=randomness,
        runs=success.shape[1],
        confidence=confidence,
        losses=None if losses is None else losses_of(np.asarray(losses), confidence, task.loss_bounds),
    )


def frozen_twin(values: Matrix, measure: Measure) -> Levels:
    """The deterministic model with the luckiest seed of the first half; its values have no interval."""
    half = values[:, : values.shape[1] // 2].mean(axis=0)
    return exact(values[:, measure.best(half)], measure)


def _worst_group(values: Matrix, group: Groups, measure: Measure, confidence: float) -> WorstGroup:
    """Groups are averaged run by run; then the worst one is found as the worst instance is."""
    means = _group_means(values, group)
    worst = measure.worst_first(means[:, : max(1, means.shape[1] // 2)].mean(axis=1))[0]
    return WorstGroup(int(np.unique(group)[worst]), levels(means, measure, confidence).worst)


def _by_group(values: Matrix, group: Groups, measure: Measure, confidence: float) -> list[Estimate]:
    means = _group_means(values, group)
    if means.shape[1] == 1:
        return [Estimate(mean, mean, mean) for mean in means[:, 0].tolist()]
    return [mean_estimate(row, confidence, measure.bounds) for row in means]


def _group_means(values: Matrix, group: Groups) -> Float[np.ndarray, "group run"]:
    return np.stack([values[group == number].mean(axis=0, dtype=float) for number in np.unique(group)])
