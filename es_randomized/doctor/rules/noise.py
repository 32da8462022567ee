"""Noise of an update: too few members, too small a batch, losses that say nothing."""

from es_randomized.doctor.finding import Finding, between, count_times, rate_times
from es_randomized.doctor.measured import Measured
from es_randomized.doctor.rules.steps import RATE, evolution, mean_or, optimizer_of
from es_randomized.doctor.signal import expected_cosine


def population_too_small(measured: Measured) -> Finding | None:
    """All directions that the whole run tries are few beside its parameters."""
    if not (settings := evolution(measured)) or not measured.directions:
        return None
    expected = expected_cosine(measured.directions, measured.parameters)
    found = measured.agreement
    known = max(expected, found.cosine - 2 * found.error) if found else expected
    total = known * measured.experiment.budget.generations
    agreeing = f"halves of the population agree at {found.cosine:.3f} ± {found.error:.3f}; " if found else ""
    return Finding(
        "population too small",
        between(total, 5.0, 0.5),
        f"{agreeing}{measured.directions} directions in {measured.parameters:,} dimensions have an expected squared cosine of "
        f"{expected:.2g} with the gradient, {total:.1f} over the whole run",
        "a generation sees little of the slope, and there are not enough of them to make up for it",
        "driver.population",
        count_times(settings.population, 8),
    )


def batch_too_small(measured: Measured) -> Finding | None:
    """What is better on one batch is not on another, more so than the population's own noise."""
    looks = [look.batches for look in measured.closeups[1:] if look.batches is not None]
    if measured.directions and looks:
        reliable, known = mean_or(0.0, looks), expected_cosine(measured.directions, measured.parameters)
        text = (
            f"members' differences in loss on two batches correlate at {reliable:.2f}, less than the {known:.2g} that "
            f"{measured.directions} directions know of the gradient"
        )
        weight = between(reliable / known, 1.0, 0.2) * between(known, 0.02, 0.08)
    elif measured.agreement and not measured.directions:
        reliable = measured.agreement.cosine
        text = f"the gradients of two batches have a cosine of {reliable:.2f}"
        weight = between(reliable, 0.15, 0.02)
    else:
        return None
    batch = measured.experiment.batch
    setting, change = (
        ("batch.seeds", count_times(batch.seeds, 4))
        if batch.instances == "all"
        else ("batch.instances", count_times(batch.instances, 4))
    )
    return Finding("batch too small", weight, text, "updates fit the batch in hand, not the task", setting, change)


def losses_not_finite(measured: Measured) -> Finding | None:
    """Members overflow."""
    parts = [part.not_finite for part in (measured.early, measured.late) if part]
    if not parts or not max(parts):
        return None
    settings, optimizer = evolution(measured), optimizer_of(measured)
    rate = settings.std if settings else optimizer.learning_rate if optimizer else None
    return Finding(
        "losses not finite",
        between(max(parts), 0.0, 0.1),
        f"{max(parts):.1%} of the losses are NaN or infinite",
        "some members overflow and count as worst, whatever they would have been good for",
        "driver.std" if settings else RATE,
        rate_times(rate, 0.3) if rate else "lower",
    )
