"""The evolution driver: an experiment made executable, the same in every process that takes part in a run."""

import dataclasses
from functools import cached_property
from typing import Any

import jax
import numpy as np
import psutil
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from es_randomized import plan, rng
from es_randomized.compilation import jit
from es_randomized.errors import MemoryBudgetError, NonFiniteLossError
from es_randomized.experiment import Experiment
from es_randomized.fitness import Fitness, parameters
from es_randomized.strategies.evosax_adapter import EvosaxStrategy
from es_randomized.strategies.shaping import rank_worst
from es_randomized.strategies.strategy import Draw, State, Strategy


@dataclasses.dataclass(frozen=True)
class Evolution:
    """A resolved experiment with its strategy and its fitness. Build it with `Evolution.of`."""

    experiment: Experiment
    strategy: Strategy
    fitness: Fitness

    @staticmethod
    def of(experiment: Experiment) -> "Evolution":
        """Bind an experiment; `auto` entries of its plan are resolved, the others are kept and checked."""
        tiled = _with_layout(experiment)
        size = parameters(tiled.model, tiled.task)
        _check_population_memory(tiled, size)
        strategy = EvosaxStrategy(tiled.driver, size, tiled.seed, tiled.budget.generations)
        tile, block = int(tiled.plan.tile), int(tiled.plan.block)
        generations = tiled.budget.generations
        fitness = Fitness(tiled.task, tiled.model, tiled.objective, tiled.batch, tiled.seed, generations, tile, block)
        unsized = Evolution(tiled, strategy, fitness)
        return unsized if tiled.plan.chunk != "auto" else unsized._with_chunk()

    def init(self) -> State:
        """The state before generation 0."""
        key = rng.address(self.experiment.seed, rng.Purpose.INIT)
        for_weights, for_strategy = jax.random.split(key)
        weights = self.experiment.model.init(for_weights, self.experiment.task.interface)
        return self.strategy.init(for_strategy, ravel_pytree(weights)[0])

    def tell(self, draw: Draw, losses: Float[np.ndarray, " member"]) -> State:
        """The state after a generation, given its raw losses in id order.

        Raises:
            NonFiniteLossError: a loss is NaN or infinite and the experiment asks to stop, or none is finite.
        """
        broken = np.flatnonzero(~np.isfinite(losses))
        if len(broken) and (self.experiment.driver.non_finite == "stop" or len(broken) == len(losses)):
            raise NonFiniteLossError(
                f"{len(broken)} of {len(losses)} losses of generation {draw.generation} are not finite "
                f"(first: member {broken[0]}, seed {self.experiment.seed}); lower driver.std or the learning rate"
                + ("" if len(broken) == len(losses) else ", or set driver.non_finite: rank_worst")
            )
        return self.strategy.tell(draw, rank_worst(losses))

    @cached_property
    def chunk_losses(self) -> Any:
        """The compiled unit of work: (sample, ids [chunk], generation) -> losses [chunk]."""
        return jit(self._chunk_losses)

    @cached_property
    def chunks(self) -> list[np.ndarray]:
        """Member ids of every chunk of a generation."""
        return plan.chunks(self.strategy.population, int(self.experiment.plan.chunk))

    def _chunk_losses(self, sample: Any, ids: Any, generation: Any) -> Float[Array, " chunk"]:
        return self.fitness(self.strategy.members(sample, ids), generation)

    def _with_chunk(self) -> "Evolution":
        settings = self.experiment.plan
        start = plan.default_chunk(self.strategy.population)
        chunk = plan.chunk_that_fits(self.chunk_losses, self.strategy.sample_shape(), start, settings.memory_mib)
        resolved = dataclasses.replace(settings, chunk=chunk)
        experiment = dataclasses.replace(self.experiment, plan=resolved)
        return Evolution(experiment, self.strategy, self.fitness)


def _with_layout(experiment: Experiment) -> Experiment:
    """The experiment with tile and block as numbers."""
    settings, model = experiment.plan, experiment.model
    cases, backend = experiment.batch.cases, jax.default_backend()
    widest = 4 * experiment.task.interface.nodes * max(model.hidden, model.width)
    tile = plan.default_tile(cases, widest, backend) if settings.tile == "auto" else settings.tile
    if cases % tile:
        raise MemoryBudgetError(f"plan.tile is {tile}, but it must divide instances x seeds = {cases}; use auto")
    block = plan.default_block(backend) if settings.block == "auto" else settings.block
    return dataclasses.replace(experiment, plan=dataclasses.replace(settings, tile=tile, block=block))


def _check_population_memory(experiment: Experiment, size: int) -> None:
    """Refuse a population matrix that cannot fit, before anything tries to allocate it."""
    needed = 4 * experiment.driver.population * size
    budget = experiment.plan.memory_mib * plan.MIB
    available = psutil.virtual_memory().available
    if needed > min(budget, available):
        raise MemoryBudgetError(
            f"{experiment.driver.population} members x {size} parameters are a matrix of {needed / plan.MIB:.0f} MiB, "
            f"but plan.memory_mib is {experiment.plan.memory_mib} and {available // plan.MIB} MiB are free; "
            "use a smaller population or model, or raise plan.memory_mib if there is memory"
        )
