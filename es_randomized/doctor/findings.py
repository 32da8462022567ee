"""All rules, and what they find in a run: what holds it back most comes first."""

from dataclasses import replace

from es_randomized.doctor.finding import WORTH_SAYING, Finding
from es_randomized.doctor.measured import Measured
from es_randomized.doctor.rules import learning, noise, seeds, steps

RULES = (
    seeds.seed_ignored,
    steps.std_too_large,
    steps.std_too_small,
    steps.losses_in_steps,
    steps.learning_rate_too_large,
    steps.learning_rate_too_small,
    noise.population_too_small,
    noise.batch_too_small,
    noise.losses_not_finite,
    seeds.seeds_too_few,
    learning.still_learning,
)


def findings(measured: Measured) -> list[Finding]:
    """What is worth saying, ranked by weight; of equal ones those that are named first above come first.

    Of one setting it says one thing, the weightiest, so that no advice takes back another.
    """
    found = [_in_phase(finding, measured) for rule in RULES if (finding := rule(measured))]
    ranked = sorted((each for each in found if each.weight >= WORTH_SAYING), key=lambda each: -each.weight)
    settings = [each.setting for each in ranked]
    return [each for place, each in enumerate(ranked) if settings.index(each.setting) == place]


def _in_phase(finding: Finding, measured: Measured) -> Finding:
    """With the name that the setting has in a run with phases; the budget is always the run's."""
    if measured.phase is None or finding.setting.startswith("budget."):
        return finding
    return replace(finding, setting=f"phases.{measured.phase}.{finding.setting}")
