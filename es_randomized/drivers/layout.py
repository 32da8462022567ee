"""What every driver starts from: tiles that stay in cache, the fitness, the first weights."""

import dataclasses
from typing import Any

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from es_randomized import rng
from es_randomized.compilation import HERE, Compiler
from es_randomized.config.experiment import Experiment
from es_randomized.drivers import plan
from es_randomized.errors import MemoryBudgetError
from es_randomized.fitness import Fitness
from es_randomized.objectives.above import Above
from es_randomized.objectives.split_batch import SplitBatch
from es_randomized.strategies.evolution_settings import EvolutionSettings


def with_plan(experiment: Experiment, **entries: Any) -> Experiment:
    """The experiment with these entries of its plan."""
    return dataclasses.replace(experiment, plan=dataclasses.replace(experiment.plan, **entries))


def with_tile(experiment: Experiment, compiler: Compiler = HERE, samples: int = 1) -> Experiment:
    """The experiment with its tile as a number.

    Args:
        compiler: of the device that it is for.
        samples: rollouts of every case, side by side.

    Raises:
        MemoryBudgetError: a given tile does not divide the cases.
    """
    task, model = experiment.task, experiment.model
    cases = experiment.batch.cases(task)
    tile = experiment.plan.tile
    if tile == "auto":
        bytes_per_case = samples * model.bytes_per_case(task.interface) * task.at_once // task.interface.nodes
        tile = plan.default_tile(cases, bytes_per_case, compiler.platform)
    if cases % tile:
        raise MemoryBudgetError(f"plan.tile is {tile}, but it must divide the {cases} cases of a member; use auto")
    return with_plan(experiment, tile=tile)


def fitness_of(experiment: Experiment, block: int, split_batch: bool = False) -> Fitness:
    """The fitness of an experiment whose tile is resolved.

    Args:
        split_batch: also on both halves of every batch.

    Raises:
        ConfigError: the batch has to be split and cannot be.
    """
    objective, low = experiment.objective, experiment.task.loss_bounds.low
    if objective.takes_powers and low:
        objective = Above(objective, low)
    return Fitness(
        experiment.task,
        experiment.model,
        SplitBatch(objective, experiment.batch.split_by(experiment.task)) if split_batch else objective,
        experiment.batch,
        experiment.seed,
        experiment.budget.generations,
        tile=int(experiment.plan.tile),
        block=block,
        first=experiment.first,
        temperature=experiment.driver.temperature if isinstance(experiment.driver, EvolutionSettings) else None,
    )


def first_weights(experiment: Experiment) -> tuple[Float[Array, " param"], Key[Array, ""]]:
    """Flat weights before the first generation, and a key for whatever else a driver draws then."""

    def draw() -> tuple[Float[Array, " param"], Key[Array, ""]]:
        for_weights, for_driver = jax.random.split(rng.address(experiment.seed, rng.Purpose.INIT, experiment.first))
        return ravel_pytree(experiment.model.init(for_weights, experiment.task.interface))[0], for_driver

    return jax.jit(draw)()  # one program instead of one for every operation
