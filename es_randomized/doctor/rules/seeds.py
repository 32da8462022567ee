"""Use of the seed: a policy that ignores it, or an objective of too few seeds."""

from es_randomized.config.kinds import kind_of
from es_randomized.doctor.finding import Finding, between, count_times
from es_randomized.doctor.measured import Measured
from es_randomized.objectives.guided import Guided
from es_randomized.objectives.specialists import Specialists

FEW = 4  # seeds, with which an objective hardly sees that a policy uses its seed


def seed_ignored(measured: Measured) -> Finding | None:
    """The policy is deterministic, and some inputs pay for it."""
    if not (use := measured.seeds) or measured.experiment.batch.fixed_seed:
        return None
    uneven = use.instances / abs(use.mean) if use.mean else 0.0
    setting, change = _more_use(measured)
    return Finding(
        "seed ignored",
        0.9 * between(use.share, 0.05, 0.005) * between(uneven, 0.05, 0.3),
        f"{use.share:.1%} of the variance of the loss is the seed's; between instances it differs by {uneven:.0%} of its mean",
        "a policy that ignores its seed is a saddle: to first order no use of the seed changes the objective",
        setting,
        change,
    )


def _more_use(measured: Measured) -> tuple[str, str]:
    """The setting that gives seeds a use, and its change."""
    seeds, objective = measured.experiment.batch.seeds, measured.experiment.objective
    if seeds < FEW or measured.experiment.task.kinds is None:
        return "batch.seeds", count_times(seeds, 8 if seeds < FEW else 4)
    if isinstance(objective, Specialists | Guided):
        return "objective.keep", f"{objective.keep} → {max(1, objective.keep // 2)}"
    return "objective.kind", f"{kind_of(objective)} → specialists, in a first phase"


def seeds_too_few(measured: Measured) -> Finding | None:
    """The objective of the mean over few seeds is not that of the mean over many."""
    if not (use := measured.seeds) or use.few is None:
        return None
    seeds = measured.experiment.batch.seeds
    bias = abs(use.few - use.many) / abs(use.many) if use.many else 0.0
    return Finding(
        "seeds too few",
        between(bias, 0.03, 0.3) * between(float(seeds), 8.0, 1.0),
        f"the objective is {use.few:.4g} with {seeds} seeds and {use.many:.4g} with more",
        "luck of single seeds counts as a bad input, so using the seed is punished",
        "batch.seeds",
        count_times(seeds, 8),
    )
