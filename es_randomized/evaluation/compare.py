"""Are two runs different, or two groups of training seeds? Differences with intervals and tests.

Two runs meet the same instances under the same fresh seeds, so everything is paired. As in statistics.py the seeds are the
sample; where the instances are a sample too, both vary, and their variances add up.

Two groups are compared by Welch's t-test over training runs. Robust and non-robust training spread differently, so equal
variances cannot be assumed; a permutation test of three runs against three cannot go below p = 0.1; a bootstrap of so few
values is too narrow. Runs are not paired by their seeds: two experiments make different things of one seed.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from es_randomized.config.experiment import Experiment
from es_randomized.errors import ConfigError, RunFolderError
from es_randomized.evaluation.answers import AnswerDistance, answer_distance
from es_randomized.evaluation.evaluate import Pooled, evaluation_bundles, outcomes, own_randomness, vote_sizes
from es_randomized.evaluation.groups import Group
from es_randomized.evaluation.line import Line, line_between
from es_randomized.evaluation.of_runs import Trained
from es_randomized.evaluation.statistics import (
    LEVELS,
    Estimate,
    Matrix,
    mean_of,
    resampled_weights,
    standard_error,
    within,
)
from es_randomized.evaluation.stored import Tree, command, measure_of, stored
from es_randomized.evaluation.votes import majority
from es_randomized.runs.folder import RunFolder
from es_randomized.tasks.measure import SUCCESS, Bounds, Measure
from es_randomized.tasks.task import Bundles, Outcome

ANSWERED = 8192  # instances at most whose answers are compared: a mean over more is no better known
VOTES = {"majority": "majority of {}", "pooled": "{} runs pooled"}


class Difference(NamedTuple):
    """One level of A and of B.

    Attributes:
        a, b: the two values.
        difference: a - b with its interval.
        p: of the hypothesis that there is no difference, two-sided; None where there is an interval but no test.
    """

    a: float
    b: float
    difference: Estimate
    p: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Comparison:
    """A against B.

    Attributes:
        measure: what is compared.
        differences: by level: average, p95, worst.
        sample: what the intervals are over, for people.
        confidence: of every interval by itself.
        per_instance: A - B of every instance, averaged over runs; None for groups.
        votes: differences of successes by vote (majority of 5, 5 runs pooled) and level, of votes that both have.
        answers: how differently two runs answer; None for groups.
        line: the loss between the weights of two runs; None for groups, and where their models differ.
    """

    measure: Measure
    differences: dict[str, Difference]
    sample: str
    confidence: float
    per_instance: Float[np.ndarray, " instance"] | None = None
    votes: dict[str, dict[str, Difference]] = field(default_factory=dict)
    answers: AnswerDistance | None = None
    line: Line | None = None

    def better(self, level: str) -> str | None:
        """A, B, or None where no difference was found."""
        difference = self.differences[level]
        if not difference.excludes_zero:
            return None
        return "A" if (difference.difference.value > 0) == self.measure.higher_is_better else "B"


def compare_runs(a: Trained, b: Trained) -> Comparison:
    """Two runs on the instances and seeds of A's evaluation, none of which training has seen.

    Raises:
        ConfigError: their tasks differ.
    """
    task, settings = a.experiment.task, a.experiment.evaluation
    if b.experiment.task != task:
        raise ConfigError("the two runs have different tasks, so their numbers mean different things; name runs of one")
    bundles, enumerated = evaluation_bundles(a.experiment)
    of_both = [_outcomes(a, run, bundles) for run in (a, b)]
    first, second = (task.measure.values(outcome) for outcome, _ in of_both)
    voted = [_votes(a.experiment, *of_run) for of_run in of_both]
    some = np.random.default_rng(0).permutation(len(first))[:ANSWERED]
    answers = [np.asarray(outcome.answer)[some] for outcome, _ in of_both]
    sampled_by = 0 if enumerated else task.bundle
    seeds = max(first.shape[1], second.shape[1])
    instances = f"{len(first):,} instances{' (all)' if enumerated else ''}"
    return Comparison(
        measure=task.measure,
        differences=paired(first, second, sampled_by, settings.confidence, task.measure),
        sample=f"{instances} × {seeds} fresh seeds, the same for both" if seeds > 1 else f"{instances}, frozen seeds",
        confidence=settings.confidence,
        per_instance=first.mean(axis=1) - second.mean(axis=1),
        votes={
            name: paired(right, voted[1][name], sampled_by, settings.confidence, SUCCESS)
            for name, right in voted[0].items()
            if name in voted[1]
        },
        answers=answer_distance(answers[0], answers[1], settings.confidence),
        line=line_between(a.experiment, a.weights, b.weights) if a.experiment.model == b.experiment.model else None,
    )


def compare_groups(a: Group, b: Group) -> Comparison:
    """Two groups of training runs by the evaluations in their folders.

    Raises:
        ConfigError: a group has a single run, which says nothing about how much training varies.
        RunFolderError: a run was not evaluated.
    """
    for group in (a, b):
        if len(group.runs) < 2:
            raise ConfigError(
                f"{group.name} has one run, but how much training varies takes two or more, with different seeds; "
                "for two single runs name only these"
            )
    first, second = ([_summary(run) for run in group.runs.values()] for group in (a, b))
    measure, confidence = measure_of(first[0]), first[0]["sample"]["confidence"]
    return Comparison(
        measure=measure,
        differences={
            level: welch(_values(first, level), _values(second, level), confidence, measure.bounds) for level in LEVELS
        },
        sample=f"{len(first)} and {len(second)} training seeds",
        confidence=confidence,
        votes=votes_of_groups(first, second, confidence) if measure.counts_successes else {},
    )


def votes_of_groups(first: list[Tree], second: list[Tree], confidence: float) -> dict[str, dict[str, Difference]]:
    """Differences of votes by their names, of those that all runs have: evaluations of before have nothing pooled."""
    differences = {}
    for kind, name in VOTES.items():
        for k in first[0].get(kind, {}):
            if all(k in tree.get(kind, {}) for tree in first + second):
                a, b = ([tree[kind][k] for tree in trees] for trees in (first, second))
                differences[name.format(k)] = {
                    level: welch(_values(a, level), _values(b, level), confidence, SUCCESS.bounds) for level in LEVELS
                }
    return differences


def _summary(run: RunFolder) -> Tree:
    evaluation = stored(run)
    if evaluation is None:
        raise RunFolderError(f"{run.path} was not evaluated; first {command(run)}")
    return evaluation.summary


def _values(summaries: list[Tree], level: str) -> Float[np.ndarray, " run"]:
    return np.array([tree[level]["value"] for tree in summaries], float)


def _votes(experiment: Experiment, outcome: Outcome, pooled: Pooled) -> dict[str, Matrix]:
    """Whether votes are right, by their names; none where success is not what is measured."""
    if not experiment.task.measure.counts_successes:
        return {}
    answer, success = np.asarray(outcome.answer), np.asarray(outcome.success)
    sizes = vote_sizes(experiment, success.shape[1])
    by_kind = {"majority": {k: majority(answer, success, k) for k in sizes}, "pooled": pooled}
    return {VOTES[kind].format(k): right for kind, by_size in by_kind.items() for k, right in by_size.items()}


def _outcomes(a: Trained, run: Trained, bundles: Bundles) -> tuple[Outcome, Pooled]:
    """A run's outcomes under A's fresh seeds and as many of them; a model trained on one seed keeps that seed."""
    source = own_randomness(run.experiment)
    experiment = replace(run.experiment, evaluation=a.experiment.evaluation)
    if source == "seed":
        experiment = replace(experiment, seed=a.experiment.seed)
    return outcomes(experiment, bundles, run.weights, randomness=source)


def paired(a: Matrix, b: Matrix, sampled_by: int, confidence: float, measure: Measure) -> dict[str, Difference]:
    """Differences of values on the same instances; where both have several runs, their runs share their seeds.

    Args:
        sampled_by: instances per independently drawn bundle; 0 where the instances are all there are.
    """
    return {
        "average": _average(a, b, sampled_by, confidence, measure.bounds),
        "p95": _quantile(a, b, confidence, measure),
        "worst": _worst(a, b, confidence, measure),
    }


def welch(
    a: Float[np.ndarray, " first"], b: Float[np.ndarray, " second"], confidence: float, bounds: Bounds
) -> Difference:
    """Welch's test and interval for the means of two groups of training runs, two or more in each."""
    from scipy import stats  # a second that `import es_randomized` should not cost

    if not np.ptp(a) and not np.ptp(b):
        return _difference(mean_of(a), mean_of(b), 0.0, np.inf, confidence, bounds)
    test = stats.ttest_ind(a, b, equal_var=False)
    low, high = map(float, test.confidence_interval(confidence))
    first, second = mean_of(a), mean_of(b)
    return Difference(first, second, _within(first - second, low, high, bounds), float(test.pvalue))


def _average(a: Matrix, b: Matrix, sampled_by: int, confidence: float, bounds: Bounds) -> Difference:
    first, second = (x.mean(axis=0, dtype=float) for x in (a, b))
    error, freedom = _error(first - second)
    if sampled_by:
        # What seeds and instances do together is in both terms, so the interval is rather too wide than too narrow.
        by_instance = a.mean(axis=1, dtype=float) - b.mean(axis=1, dtype=float)
        more, others = _error(by_instance.reshape(-1, sampled_by).mean(axis=1))
        error, freedom = float(np.hypot(error, more)), min(freedom, others)
    return _difference(mean_of(first), mean_of(second), error, freedom, confidence, bounds)


def _quantile(a: Matrix, b: Matrix, confidence: float, measure: Measure) -> Difference:
    """Of instances by their means, with a bootstrap over the seeds; those of A and B are drawn together."""
    level = measure.worst_level
    first, second = (float(np.quantile(x.mean(axis=1, dtype=float), level)) for x in (a, b))
    weights = resampled_weights(max(a.shape[1], b.shape[1]))
    resampled = [np.quantile(_resampled(x, weights), level, axis=0) for x in (a, b)]
    low, high = np.quantile(resampled[0] - resampled[1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(first, second, _within(first - second, float(low), float(high), measure.bounds), None)


def _resampled(x: Matrix, weights: Float[np.ndarray, "resample run"]) -> Float[np.ndarray, "instance resample"]:
    """Means over resampled runs; a single run is the same in all of them."""
    if x.shape[1] == 1:
        return np.repeat(x.astype(np.float32), len(weights), axis=1)
    return x.astype(np.float32) @ weights.T.astype(np.float32)


def _worst(a: Matrix, b: Matrix, confidence: float, measure: Measure) -> Difference:
    """The worst instance of either, chosen on the first half of the seeds and compared on the second."""
    first, second = (_of_worst(x, measure) for x in (a, b))
    return _difference(mean_of(first), mean_of(second), *_error(first - second), confidence, measure.bounds)


def _of_worst(x: Matrix, measure: Measure) -> Float[np.ndarray, " held_out"]:
    half = x.shape[1] // 2
    return x[measure.worst_first(x[:, : max(1, half)].mean(axis=1))[0], half:].astype(float)


def _error(values: Float[np.ndarray, " sample"]) -> tuple[float, float]:
    """The standard error of a mean and its degrees of freedom; a single value is exact."""
    return (standard_error(values), len(values) - 1.0) if len(values) > 1 else (0.0, np.inf)


def _difference(a: float, b: float, error: float, freedom: float, confidence: float, bounds: Bounds) -> Difference:
    """The difference of two means with Student's interval and test; one without an error is exact."""
    from scipy import stats

    value = a - b
    if not error:
        return Difference(a, b, Estimate(value, value, value), float(value == 0))
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Difference(a, b, _within(value, value - reach, value + reach, bounds), p)


def _within(value: float, low: float, high: float, bounds: Bounds) -> Estimate:
    """A difference of two values that both lie in the bounds."""
    reach = bounds.high - bounds.low
    return within(value, low, high, Bounds(-reach, reach))
