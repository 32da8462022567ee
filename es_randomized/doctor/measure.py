"""Measure a run: its journal, its states once more, and a few evaluations on batches that training never drew."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from es_randomized.compilation import jit
from es_randomized.doctor.closeup import Closeups
from es_randomized.doctor.measured import Measured
from es_randomized.doctor.path import Path
from es_randomized.doctor.probe import Probe
from es_randomized.doctor.replayed import replayed
from es_randomized.doctor.seeds import SeedUse, more_seeds, seed_use
from es_randomized.doctor.settling import settling
from es_randomized.doctor.signal import Halves, agreement, cosine, expected_cosine
from es_randomized.doctor.spread import spread_of
from es_randomized.drivers.driver import Driver
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.gradient import Gradient
from es_randomized.drivers.kinds import driver_of
from es_randomized.errors import RunFolderError
from es_randomized.runs.checkpoint import metrics_of, weights_of
from es_randomized.runs.folder import RunFolder
from es_randomized.strategies.strategy import State

HALVES = 48  # generations whose halves are compared
GRADIENTS = 12  # whose gradient is computed on two batches
CLOSEUPS = 4

Comparison = Callable[[State, int, Float[np.ndarray, " member"]], float]


def measure(folder: RunFolder) -> Measured:
    """Look at a run or a checkpoint: of a run with phases, at the newest one. Nothing is written, and it may train meanwhile.

    Raises:
        RunFolderError: the run has no generation yet.
    """
    driver = driver_of(folder.experiment())
    return _of_checkpoint(folder, driver) if folder.is_checkpoint else _of_run(folder, driver)


def _of_checkpoint(folder: RunFolder, driver: Driver) -> Measured:
    total = len(metrics_of(folder))
    part = driver.at(total - 1)
    return Measured(
        part.experiment,
        driver.parameters,
        total - part.experiment.first,
        phase=_phase(driver, total - 1),
        seeds=_seeds(driver, jnp.asarray(weights_of(folder)), total - 1),
        held_out=_checks(folder, part.experiment.first),
        missing={"a checkpoint has no journal": "agreement, losses of members, steps and close-ups"},
    )


def _of_run(folder: RunFolder, driver: Driver) -> Measured:
    recorded = folder.recorded(driver).losses
    if not (total := len(recorded)):
        raise RunFolderError(f"{folder.name} has no generation yet; look again when it has trained for a while")
    part = driver.at(total - 1)
    first, fresh = part.experiment.first, driver.experiment.budget.generations
    probe, path = Probe(part.experiment, fresh), Path(total - first)
    compare, at = _comparison(part, probe, first, total)
    look = Closeups(part.strategy, probe) if isinstance(part, Evolution) else None
    closely, cosines, closeups, weights = _evenly(first, total, CLOSEUPS), [], [], None
    for item in replayed(folder, driver):
        weights = driver.centre(item.after)
        if item.generation < first:
            continue
        before = driver.own_state(item.before, item.generation)
        path.add(part.centre(before), weights)
        if item.generation in at:
            cosines.append(compare(before, item.generation, part.of_members(item.losses, item.generation)))
        if look and item.generation in closely:
            closeups.append(look(before, item.generation))
    assert weights is not None
    members = np.stack([driver.of_members(recorded[number], number) for number in range(first, total)])
    third, antithetic = -(-len(members) // 3), isinstance(part, Evolution) and part.strategy.antithetic
    return Measured(
        part.experiment,
        driver.parameters,
        total - first,
        phase=_phase(driver, total - 1),
        directions=part.strategy.rows if isinstance(part, Evolution) else None,
        early=spread_of(members[:third], antithetic),
        late=spread_of(members[-third:], antithetic),
        agreement=agreement(cosines, _expected(part)) if cosines else None,
        way=path.way(),
        closeups=tuple(closeups),
        settling=settling(path.recent, probe, total - 1),
        seeds=_seeds(driver, weights, total - 1),
        held_out=_checks(folder, first),
    )


def _comparison(part: Driver, probe: Probe, first: int, total: int) -> tuple[Comparison, set[int]]:
    """The cosine of two independent estimates of a generation's update, and the generations to look at."""
    if isinstance(part, Evolution) and part.strategy.rows >= 2:
        strategy, halves = part.strategy, Halves(part.strategy)

        def of_halves(state: State, generation: int, losses: Float[np.ndarray, " member"]) -> float:
            proposal = strategy.ask(state, generation).proposal
            return halves.cosine(proposal, strategy.centre(state), losses)

        return of_halves, _evenly(first, total, HALVES)
    if isinstance(part, Gradient):
        gradient = jit(lambda weights, inputs: part.gradient(weights, inputs)[1], part.experiment.model.precision)

        def of_batches(state: State, generation: int, losses: Float[np.ndarray, " member"]) -> float:
            inputs, weights = part.fitness.inputs(generation), part.centre(state)
            batches = [inputs._replace(generation=np.uint32(probe.fresh(batch))) for batch in range(2)]
            return cosine(*(np.asarray(gradient(weights, batch), np.float64) for batch in batches))

        return of_batches, _evenly(first, total, GRADIENTS)
    return lambda state, generation, losses: 0.0, set()


def _expected(part: Driver) -> float | None:
    """The agreement of two halves where losses are linear and free of noise; None for gradients."""
    return expected_cosine(part.strategy.rows // 2, part.parameters) if isinstance(part, Evolution) else None


def _checks(folder: RunFolder, first: int) -> tuple[tuple[float, float], ...]:
    """Average and worst of the held-out checks from a generation on."""
    rows = [row for row in metrics_of(folder).to_pylist() if row["generation"] >= first]
    return tuple(
        (row["held_out_average"], row["held_out_worst"]) for row in rows if row["held_out_average"] is not None
    )


def _seeds(driver: Driver, weights: Float[Array, " param"], generation: int) -> SeedUse | None:
    """None where the seed never changes."""
    experiment = driver.at(generation).experiment
    if experiment.batch.fixed_seed:
        return None
    seeds = experiment.batch.seeds
    probe = Probe(experiment, driver.experiment.budget.generations, more_seeds(seeds))
    return seed_use(weights, probe, seeds, generation)


def _phase(driver: Driver, generation: int) -> int | None:
    """The number of the phase of a generation; None in a run without phases."""
    return driver.experiment.phase_at(generation) if driver.experiment.phases else None


def _evenly(first: int, total: int, count: int) -> set[int]:
    """At most `count` generations, spread evenly from `first` to the last."""
    return {int(number) for number in np.linspace(first, total - 1, min(total - first, count)).round()}
