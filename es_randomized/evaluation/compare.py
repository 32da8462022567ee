"""Are two runs different, or two groups of training seeds? Differences with intervals and tests.

Two runs meet the same instances under the same fresh seeds, so everything is paired. As in statistics.py the seeds are the
sample; where the instances are a sample too, both vary, and their variances add up.

Two groups are compared by Welch's t-test over training runs. Robust and non-robust training spread differently, so equal
variances cannot be assumed; a permutation test of three runs against three cannot go below p = 0.1; a bootstrap of so few
values is too narrow. Runs are not paired by their seeds: two experiments make different things of one seed.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from es_randomized.errors import ConfigError, RunFolderError
from es_randomized.evaluation.evaluate import evaluation_bundles, headline, outcomes, own_randomness
from es_randomized.evaluation.groups import Group
from es_randomized.evaluation.of_runs import Trained
from es_randomized.evaluation.statistics import RESAMPLES, Estimate
from es_randomized.evaluation.stored import Tree, command, stored
from es_randomized.runs.folder import RunFolder

Matrix = Shaped[np.ndarray, "instance #run"]  # a model with one frozen seed has one run

MEASURES = {"average": "average", "p95": "95th percentile", "worst": "worst"}


class Difference(NamedTuple):
    """One measure of A and of B.

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
    def found(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Comparison:
    """A against B.

    Attributes:
        headline: success (higher is better) or loss.
        unit: of the loss.
        differences: by measure: average, p95, worst.
        sample: what the intervals are over, for people.
        confidence: of every interval by itself.
        per_instance: A - B of every instance, averaged over runs; None for groups.
    """

    headline: str
    unit: str
    differences: dict[str, Difference]
    sample: str
    confidence: float
    per_instance: Float[np.ndarray, " instance"] | None = None

    def better(self, measure: str) -> str | None:
        """A, B, or None where no difference was found."""
        difference = self.differences[measure]
        if not difference.found:
            return None
        return "A" if (difference.difference.value > 0) == (self.headline == "success") else "B"


def compare_runs(a: Trained, b: Trained) -> Comparison:
    """Two runs on the instances and seeds of A's evaluation, none of which training has seen.

    Raises:
        ConfigError: their tasks differ.
    """
    task, settings = a.experiment.task, a.experiment.evaluation
    if b.experiment.task != task:
        raise ConfigError("the two runs have different tasks, so their numbers mean different things; name runs of one")
    bundles, enumerated = evaluation_bundles(a.experiment)
    first, second = (headline(task, _outcome(a, run, bundles)) for run in (a, b))
    seeds = max(first.shape[1], second.shape[1])
    instances = f"{len(first):,} instances{' (all)' if enumerated else ''}"
    return Comparison(
        headline=task.headline,
        unit=task.unit,
        differences=paired(
            first, second, 0 if enumerated else task.bundle, settings.confidence, task.headline == "success"
        ),
        sample=f"{instances} × {seeds} fresh seeds, the same for both" if seeds > 1 else f"{instances}, frozen seeds",
        confidence=settings.confidence,
        per_instance=first.mean(axis=1) - second.mean(axis=1),
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
    confidence = first[0]["sample"]["confidence"]
    return Comparison(
        headline=first[0]["headline"],
        unit=first[0]["unit"],
        differences={name: welch(_values(first, name), _values(second, name), confidence) for name in MEASURES},
        sample=f"{len(first)} and {len(second)} training seeds",
        confidence=confidence,
    )


def _summary(run: RunFolder) -> Tree:
    found = stored(run)
    if found is None:
        raise RunFolderError(f"{run.path} was not evaluated; first {command(run)}")
    return found.summary


def _values(summaries: list[Tree], measure: str) -> list[float]:
    return [tree[measure]["value"] for tree in summaries]


def _outcome(a: Trained, run: Trained, bundles: Any) -> Any:
    """A run's outcomes under A's fresh seeds; a model trained on one seed keeps that seed."""
    source = own_randomness(run.experiment)
    experiment = replace(run.experiment, evaluation=a.experiment.evaluation)
    if source == "seed":
        experiment = replace(experiment, seed=a.experiment.seed)
    return outcomes(experiment, bundles, run.weights, randomness=source)


def paired(a: Matrix, b: Matrix, sampled_by: int, confidence: float, higher_is_better: bool) -> dict[str, Difference]:
    """Differences of outcomes on the same instances; where both have several runs, their runs share their seeds.

    Args:
        sampled_by: instances per independently drawn bundle; 0 where the instances are all there are.
    """
    level = 0.05 if higher_is_better else 0.95
    return {
        "average": _average(a, b, sampled_by, confidence),
        "p95": _quantile(a, b, level, confidence),
        "worst": _worst(a, b, confidence, -1 if higher_is_better else 1),
    }


def welch(a: list[float], b: list[float], confidence: float) -> Difference:
    """Welch's test and interval for the means of two groups of training runs, two or more in each."""
    first, second = np.array(a), np.array(b)
    parts = [values.var(ddof=1) / len(values) for values in (first, second)]
    error = sum(parts) ** 0.5
    weights = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
    freedom = sum(parts) ** 2 / weights if weights else np.inf
    return _student(float(first.mean()), float(second.mean()), float(error), float(freedom), confidence)


def _average(a: Matrix, b: Matrix, sampled_by: int, confidence: float) -> Difference:
    error, freedom = _error(a.mean(axis=0) - b.mean(axis=0))
    if sampled_by:
        # What seeds and instances do together is in both terms, so the interval is rather too wide than too narrow.
        more, others = _error((a.mean(axis=1) - b.mean(axis=1)).reshape(-1, sampled_by).mean(axis=1))
        error, freedom = float(np.hypot(error, more)), min(freedom, others)
    return _student(float(a.mean()), float(b.mean()), error, freedom, confidence)


def _quantile(a: Matrix, b: Matrix, level: float, confidence: float) -> Difference:
    """Of instances by their means, with a bootstrap over the seeds; those of A and B are drawn together."""
    first, second = (float(np.quantile(x.mean(axis=1), level)) for x in (a, b))
    seeds = max(a.shape[1], b.shape[1])
    picks = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
    resampled = [np.quantile(_resampled(x, picks), level, axis=0) for x in (a, b)]
    ends = np.quantile(resampled[0] - resampled[1], [(1 - confidence) / 2, (1 + confidence) / 2])
    value = first - second
    interval = Estimate(value, min(value, float(ends[0])), max(value, float(ends[1])))
    return Difference(first, second, interval, None)


def _resampled(x: Matrix, picks: Float[np.ndarray, "resample run"]) -> Float[np.ndarray, "instance resample"]:
    """Means over resampled runs; a single run is the same in all of them."""
    if x.shape[1] == 1:
        return np.repeat(x.astype(np.float32), len(picks), axis=1)
    return x.astype(np.float32) @ picks.T.astype(np.float32)


def _worst(a: Matrix, b: Matrix, confidence: float, sign: int) -> Difference:
    """The worst instance of either, chosen on the first half of the seeds and compared on the second."""
    rows = [_of_worst(x, sign) for x in (a, b)]
    return _student(float(rows[0].mean()), float(rows[1].mean()), *_error(rows[0] - rows[1]), confidence)


def _of_worst(x: Matrix, sign: int) -> Float[np.ndarray, " held_out"]:
    if x.shape[1] == 1:
        return x[np.argmax(sign * x[:, 0])].astype(float)
    half = x.shape[1] // 2
    return x[int(np.argmax(sign * x[:, :half].mean(axis=1))), half:].astype(float)


def _error(values: Float[np.ndarray, " sample"]) -> tuple[float, float]:
    """The standard error of a mean and its degrees of freedom; a single value is exact."""
    if len(values) == 1:
        return 0.0, np.inf
    return float(values.std(ddof=1)) / len(values) ** 0.5, float(len(values) - 1)


def _student(a: float, b: float, error: float, freedom: float, confidence: float) -> Difference:
    """A difference with Student's interval and test; one without an error is exact."""
    from scipy import stats  # a second that `import es_randomized` should not cost

    value = a - b
    if not error:
        return Difference(a, b, Estimate(value, value, value), float(value == 0))
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Difference(a, b, Estimate(value, value - reach, value + reach), p)
