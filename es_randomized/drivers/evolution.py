"""The evolution driver: an experiment made executable, the same in every process that takes part in a run."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from es_randomized.compilation import HERE, Compiler, jit
from es_randomized.config.experiment import Experiment
from es_randomized.drivers import plan
from es_randomized.drivers.blocks import best_block
from es_randomized.drivers.driver import Driver, Evaluator, Program
from es_randomized.drivers.layout import first_weights, fitness_of, with_plan, with_tile
from es_randomized.drivers.ledger import Cost, batch_cost, pool_cost
from es_randomized.drivers.pool import Pool
from es_randomized.drivers.search import search_settings, strategy_of
from es_randomized.errors import ConfigError, NonFiniteLossError
from es_randomized.fitness import Fitness, GenerationInputs, Members
from es_randomized.objectives.split_batch import SplitBatch
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.shaping import HUGE, rank_worst
from es_randomized.strategies.strategy import Ask, PartsOf, Proposal, State, Strategy


@dataclass(frozen=True)
class Evolution(Driver):
    """A resolved experiment with its strategy and its fitness. Build it with `Evolution.of`."""

    experiment: Experiment
    strategy: Strategy
    fitness: Fitness
    share_with: "Evolution | None" = None
    compiler: Compiler = HERE

    @classmethod
    def of(cls, experiment: Experiment, share_with: Driver | None = None, compiler: Compiler = HERE) -> "Evolution":
        shared = share_with if isinstance(share_with, Evolution) else None
        if shared:
            experiment = replace(experiment, plan=shared.experiment.plan)
        settings = search_settings(experiment)
        if experiment.plan.block == "auto":
            experiment = with_plan(
                experiment, block=best_block(partial(cls.with_block, experiment, compiler), compiler)
            )
        tiled = with_tile(experiment, compiler)
        strategy = strategy_of(settings, tiled, compiler)
        if shared:
            strategy = strategy.sharing(shared.strategy)
        fitness = fitness_of(tiled, int(tiled.plan.block), strategy.split_batch)
        unsized = cls(tiled, strategy, fitness, shared, compiler)
        if tiled.plan.chunk == "auto":
            return unsized._with_chunk()
        if tiled.plan.chunk % strategy.members_per_row:
            raise ConfigError(
                f"plan.chunk is {tiled.plan.chunk}, but the members of {settings.kind} come in pairs that are evaluated "
                f"together; use {tiled.plan.chunk + 1}"
            )
        return unsized

    @classmethod
    def with_block(cls, experiment: Experiment, compiler: Compiler, block: int) -> "Evolution":
        """Evaluates so many members side by side, whatever its plan says."""
        return cls.of(with_plan(experiment, block=block), compiler=compiler)

    @property
    def settings(self) -> EvolutionSettings:
        """The section `driver:`."""
        assert isinstance(self.experiment.driver, EvolutionSettings)
        return self.experiment.driver

    @property
    def title(self) -> str:
        return f"{self.experiment.driver.kind}, {self.strategy.population} members"

    @property
    def parameters(self) -> int:
        return self.strategy.parameters

    @property
    def losses_per_generation(self) -> int:
        return self.strategy.population * (SplitBatch.views if self.strategy.split_batch else 1)

    def of_members(self, losses: Float[np.ndarray, " loss"], generation: int) -> Float[np.ndarray, " member"]:
        return losses[: self.strategy.population]

    def init(self) -> State:
        weights, for_strategy = first_weights(self.experiment)
        return self.strategy.init(for_strategy, weights)

    def start(self, weights: Float[Any, " param"]) -> State:
        _, for_strategy = first_weights(self.experiment)
        return self.strategy.init(for_strategy, jnp.asarray(weights))

    def carry(self, state: State, fresh: State) -> State:
        return self.strategy.carry(state, fresh)

    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " loss"], State]:
        ask = self.strategy.ask(state, generation)
        losses = evaluator.evaluate(ask)
        return losses, self.tell(ask, losses, evaluator.parts_of)

    def replay(
        self,
        state: State,
        generation: int,
        losses: Float[np.ndarray, " loss"],
        parts_of: PartsOf | None = None,
    ) -> State:
        """Nothing is evaluated: the strategy is told again."""
        return self.tell(self.strategy.ask(state, generation), losses, parts_of)

    def tell(self, ask: Ask, losses: Float[np.ndarray, " loss"], parts_of: PartsOf | None = None) -> State:
        """The state after a generation, given its raw losses in id order.

        Args:
            parts_of: where to compute the parts of the update; here by default.

        Raises:
            NonFiniteLossError: a loss is NaN or infinite and the experiment asks to stop, none is finite, or they are too large.
        """
        of_members = self.of_members(losses, ask.generation)
        broken = np.flatnonzero(~np.isfinite(of_members))
        if len(broken) and (self.settings.non_finite == "stop" or len(broken) == len(of_members)):
            raise NonFiniteLossError(
                f"{len(broken)} of {len(of_members)} losses of generation {ask.generation} are not finite "
                f"(first: member {broken[0]}, seed {self.experiment.seed}); lower driver.std or the learning rate"
                + ("" if len(broken) == len(of_members) else ", or set driver.non_finite: rank_worst")
            )
        views = [rank_worst(view) for view in losses.reshape(-1, self.strategy.population)]
        state = self.strategy.tell(ask, np.stack(views) if self.strategy.split_batch else views[0], parts_of)
        largest = np.abs(views[0]).max()
        if largest > HUGE and not np.isfinite(self.centre(state)).all():
            raise NonFiniteLossError(
                f"losses of generation {ask.generation} reach {largest:.1e}, more than float32 numbers can add up, so the "
                f"weights of {self.settings.kind} became NaN or infinite; make the loss smaller, or use driver.shaping: "
                "centred_rank"
            )
        return state

    def centre(self, state: State) -> Float[Array, " param"]:
        return self.strategy.centre(state)

    def cost(self) -> Cost:
        experiment = self.experiment
        return self._members_cost.plus(pool_cost(experiment.task, experiment.model, experiment.batch))

    def programs(self) -> list[Program]:
        strategy, proposal = self.strategy, self.strategy.proposal_shape()
        rows = self.chunks[0]
        inputs = self.inputs(self.fitness.first)
        calls, flops = len(self.chunks), self._members_cost.flops
        programs = [Program("chunk", self.chunk_losses, (proposal, rows, inputs), calls, flops / calls)]
        if strategy.parts:
            shaped = np.zeros(strategy.population, np.float32)
            arguments = proposal, shaped, np.int32(0)
            programs.append(Program("part of the update", strategy.parts.compute, arguments, strategy.parts.count))
        return [*programs, self.pool.program] if self.pool else programs

    def describe(self) -> dict[str, str]:
        strategy, settings = self.strategy, self.experiment.plan
        bytes_ = self._program_bytes(self.chunk_rows)
        return {
            "members": f"{strategy.population:,}",
            "chunk": f"{settings.chunk} members, {len(self.chunks)} chunks, {bytes_ / plan.MIB:,.1f} MiB of memory",
            "inner step": f"{settings.tile} cases × {settings.block} members",
        } | strategy.describe()

    @cached_property
    def chunk_losses(self) -> Any:
        """The compiled unit of work: (proposal, rows [chunk_rows], inputs) -> losses [row, antithetic, *view]."""
        return (
            self.share_with.chunk_losses
            if self.share_with
            else jit(self._chunk_losses, self.experiment.model.precision)
        )

    @cached_property
    def pool(self) -> Pool | None:
        """What the hard instances of a batch are chosen from; None where all are random."""
        if not self.experiment.batch.hardest_of:
            return None
        if self.share_with:
            return self.share_with.pool
        return Pool(self.fitness, jax.eval_shape(lambda: self.centre(self.init())), self.compiler)

    def inputs(self, generation: int) -> GenerationInputs:
        """What the unit of work is told of a generation, before anyone has looked which instances are hard."""
        return self.fitness.inputs(generation)

    def told(self, ask: Ask) -> GenerationInputs:
        """The same for an ask: where a batch has hard instances, those that its centre loses most on."""
        inputs = self.inputs(ask.generation)
        if self.pool is None:
            return inputs
        return inputs._replace(hardest=np.asarray(self.pool.hardest(self.strategy.centre(ask.state), inputs)))

    def message(self, ask: Ask) -> list[np.ndarray]:
        """All that workers need to evaluate the members of an ask."""
        hardest = [self.told(ask).hardest] if self.experiment.batch.hardest_of else []
        return [*self.strategy.message(ask), *hardest]

    def received(self, message: list[np.ndarray], generation: int) -> tuple[Proposal, GenerationInputs]:
        """The members of an ask and the inputs they meet, from its message."""
        inputs = self.inputs(generation)
        if self.experiment.batch.hardest_of:
            *message, hardest = message
            inputs = inputs._replace(hardest=hardest)
        return self.strategy.receive(message, generation), inputs

    @property
    def chunk_rows(self) -> int:
        """Rows of noise in a chunk."""
        return int(self.experiment.plan.chunk) // self.strategy.members_per_row

    @cached_property
    def chunks(self) -> list[np.ndarray]:
        """Rows of noise of every chunk of a generation."""
        return plan.chunks(self.strategy.rows, self.chunk_rows)

    def chunk_of(self, data: bytes | memoryview) -> Float[np.ndarray, "row antithetic *view"]:
        """The losses of a chunk from their bytes."""
        views = (SplitBatch.views,) if self.strategy.split_batch else ()
        return np.frombuffer(data, np.float32).reshape(self.chunk_rows, self.strategy.members_per_row, *views)

    def in_id_order(self, chunks: list[Float[np.ndarray, "row antithetic *view"]]) -> Float[np.ndarray, " loss"]:
        """The losses of all members, given those of all chunks; view after view where there are several."""
        return np.concatenate(chunks)[: self.strategy.rows].T.reshape(-1)

    def address(self, chunk: int, generation: int) -> str:
        """Which members a chunk holds, for people."""
        rows, strategy = self.chunks[chunk], self.strategy
        firsts = [which * strategy.rows for which in range(strategy.members_per_row)]
        ids = [f"{rows[0] + first}..{rows[-1] + first}" for first in firsts]
        return f"members {' and '.join(ids)} of generation {generation}"

    def _chunk_losses(self, proposal: Any, rows: Any, inputs: GenerationInputs) -> Float[Array, "row antithetic *view"]:
        strategy, unravel = self.strategy, self.fitness.unravel
        members = Members(
            lambda index: strategy.row(proposal, index),
            lambda row, sign: unravel(strategy.member(proposal, row, sign)),
            strategy.antithetic_signs,
        )
        return self.fitness(rows, members, inputs)

    @property
    def _members_cost(self) -> Cost:
        experiment = self.experiment
        return batch_cost(experiment.task, experiment.model, experiment.batch).times(self.strategy.population)

    def _program_bytes(self, rows: int) -> int:
        shape, inputs = self.strategy.proposal_shape(), self.inputs(self.fitness.first)
        return plan.program_bytes(self.chunk_losses, shape, rows, inputs, self.compiler)

    def _with_chunk(self) -> "Evolution":
        memory, strategy = self.experiment.plan.memory_mib, self.strategy
        if self.pool:
            self.pool.check(memory)
        start = plan.default_rows(strategy.rows, self._members_cost.flops / strategy.rows, self.compiler.platform)
        rows = plan.rows_that_fit(self._program_bytes, start, memory)
        return replace(self, experiment=with_plan(self.experiment, chunk=rows * strategy.members_per_row))


def evolution_at(driver: Driver, generation: int) -> Evolution:
    """The driver of a generation whose members are evaluated.

    Raises:
        TypeError: it has no members.
    """
    evolution = driver.at(generation)
    if not isinstance(evolution, Evolution):
        raise TypeError("this driver has no members to evaluate")
    return evolution
