"""Step size and learning rate: members too far away or too near, steps too long or too short."""

import numpy as np

from es_randomized.config.kinds import class_of
from es_randomized.doctor.finding import Finding, between, rate_times
from es_randomized.doctor.measured import Measured
from es_randomized.doctor.spread import Spread
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.optimizers import Optimizer

RATE = "driver.optimizer.learning_rate"
TOO_MUCH = 10.0  # of what was gained, to be told as a share


def std_too_large(measured: Measured) -> Finding | None:
    """Members lie where losses are no slopes any more, or where little of what the centre knows is left."""
    if not measured.closeups or not (settings := evolution(measured)):
        return None
    pairs = pair_correlation(measured)
    scales = mean_or(1.0, [look.scales for look in measured.closeups if look.scales is not None])
    gap = float(np.mean([look.gap for look in measured.closeups]))
    ever, of_late = _lost_by_members(measured)
    share = f"{ever:.0%} of all that it has gained" if ever < TOO_MUCH else "which has gained little or nothing"
    no_slopes = between(pairs, -0.5, 0.0)
    if not measured.experiment.task.differentiable:  # losses of jumps are no slopes at any distance
        no_slopes = min(max(between(pairs, -0.2, 0.2), between(scales, 0.8, 0.3)), between(ever, 0.05, 0.3))
    no_progress = min(between(pairs, -0.5, -0.2), between(ever, 0.03, 0.12), between(of_late, 0.5, 1.5))
    return Finding(
        "std too large",
        max(no_slopes, 0.8 * no_progress),
        f"members lose {gap:.1f} of their spread more than the centre, {share}; their "
        f"differences in loss agree at {scales:.2f} with those a quarter as far away; the two members of a pair agree at "
        f"{pairs:+.2f} (-1 on a slope)",
        "that far from the centre losses are no slopes and what it knows is lost: members say little about where to go",
        "driver.std",
        rate_times(settings.std, 0.3),
    )


def _lost_by_members(measured: Measured) -> tuple[float, float]:
    """What members lose against the centre, as a share of what it has gained in the run, and of what it gained in the last two
    thirds; infinite where it gained nothing."""
    first, *later = measured.closeups
    if len(later) < 2 or (lost := float(np.mean([look.members - look.centre for look in later]))) <= 0:
        return 0.0, 0.0
    gains = first.centre - later[-1].centre, later[0].centre - later[-1].centre
    ever, of_late = (lost / gain if gain > 0 else float("inf") for gain in gains)
    return ever, of_late


def std_too_small(measured: Measured) -> Finding | None:
    """Members lie so near that many lose the same. Weights that have grown long are another cause, which is not this one."""
    if not measured.closeups or not (settings := evolution(measured)):
        return None
    if not (way := measured.way) or not measured.early or not measured.late:
        return None
    ties = _ties(measured)
    return Finding(
        "std too small",
        between(ties, 0.5, 0.9) * between(way.growth, 4.0, 2.0),
        _told(ties, measured.late),
        "members hardly differ from the centre, so their losses say little",
        "driver.std",
        rate_times(settings.std, 3.0),
    )


def losses_in_steps(measured: Measured) -> Finding | None:
    """Many members lose the same because few perturbations change a best action, and actions could be sampled."""
    if not (settings := evolution(measured)) or not measured.late:
        return None
    if settings.temperature or not measured.experiment.task.samples_actions:
        return None
    ties = _ties(measured)
    return Finding(
        "losses in steps",
        0.9 * between(ties, 0.5, 0.9),  # a std too small is the simpler reason, where it is one
        _told(ties, measured.late),
        "where no perturbation changes a best action, members say nothing; the mean over sampled actions changes smoothly",
        "driver.temperature",
        "none → {start: 0.5, end: 0.1, shape: exponential}, but in a last phase",
    )


def _ties(measured: Measured) -> float:
    """The share of members that lose the same as another, over the run."""
    return mean_or(0.0, [part.tied for part in (measured.early, measured.late) if part])


def _told(ties: float, late: Spread) -> str:
    return (
        f"{ties:.0%} of the members share their loss with another; all lie within {late.spread:.2g} of {late.level:.4g}"
    )


def learning_rate_too_large(measured: Measured) -> Finding | None:
    """Steps are longer than what members have seen, or the last centres wander around a point better than they are."""
    if not (way := measured.way) or not (optimizer := optimizer_of(measured)):
        return None
    reach, wander = step_over_distance(measured), wandering(measured)
    beyond = min(between(reach, 0.6, 2.0), between(pair_correlation(measured), -0.97, -0.8))
    weight = max(beyond, wander, between(way.growth, 2.5, 6.0))
    steps = f"a step is {reach:.2g} times as long as a member is far away; " if measured.closeups else ""
    rest = measured.settling
    loss_of_average = f"{rest.average:.4g}, they {rest.each:.4g} on average" if rest else "nothing"
    return Finding(
        "learning rate too large",
        weight,
        f"{steps}the weights grew {way.growth:.1f} times as long; the average of the last centres loses {loss_of_average}",
        "steps overshoot: the centre wanders around what it looks for",
        RATE,
        rate_times(optimizer.learning_rate, 0.3),
    )


def learning_rate_too_small(measured: Measured) -> Finding | None:
    """The centre goes straight on and has hardly left its place."""
    if not (way := measured.way) or way.straight is None or not (optimizer := optimizer_of(measured)):
        return None
    return Finding(
        "learning rate too small",
        min(between(way.travelled, 0.2, 0.05), between(way.straight, 0.3, 0.6)),
        f"in {measured.generations} generations the weights moved by {way.travelled:.1%} of their length; every leg of the way "
        f"points where the one before did (cosine {way.straight:.2f})",
        "the direction is known and hardly followed",
        RATE,
        rate_times(optimizer.learning_rate, 5.0),
    )


def step_over_distance(measured: Measured) -> float:
    """Length of a step of the centre in units of how far members are away; 0 where there are no members."""
    if not measured.closeups or not measured.way:
        return 0.0
    distance = float(np.median([look.distance for look in measured.closeups]))
    return measured.way.step / distance if distance else 0.0


def pair_correlation(measured: Measured) -> float:
    """Of the two members of antithetic pairs, over the run, or in the close-ups; -1 where there are none."""
    recorded = [part.pairs for part in (measured.early, measured.late) if part and part.pairs is not None]
    return mean_or(-1.0, recorded or [look.pairs for look in measured.closeups if look.pairs is not None])


def wandering(measured: Measured) -> float:
    """How much more the last centres lose than their average, from 0 to 1: much is as much as members differ, and a part of
    all that was gained; without members, a tenth of the loss."""
    if not (rest := measured.settling):
        return 0.0
    lost = rest.each - rest.average
    if not (looks := measured.closeups):
        return between(lost, 0.1 * abs(rest.each), 0.4 * abs(rest.each)) if rest.each else 0.0
    spread, gained = looks[-1].spread, abs(looks[0].centre - looks[-1].centre)
    return (
        min(between(lost, spread, 4 * spread), between(lost, 0.002 * gained, 0.02 * gained))
        if spread and gained
        else 0.0
    )


def evolution(measured: Measured) -> EvolutionSettings | None:
    """The section `driver:` of an evolution strategy."""
    driver = measured.experiment.driver
    return driver if isinstance(driver, EvolutionSettings) else None


def optimizer_of(measured: Measured) -> Optimizer | None:
    """What turns updates into steps; None where the driver has none, or a strategy does without the one of its settings."""
    driver = measured.experiment.driver
    found = getattr(driver, "optimizer", None)
    used = getattr(class_of("driver", driver.kind), "takes_optimizer", True)
    return found if used and isinstance(found, Optimizer) else None


def mean_or(default: float, values: list[float]) -> float:
    """The mean, or something else where there are no values."""
    return float(np.mean(values)) if values else default
