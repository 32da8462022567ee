"""The gradient driver: one weight vector goes down the gradient of the same objective, on the same data, as evolution.

A generation is one step: the objective of its batch and the derivative, in one program on one device. Where the loss
of a task has no gradient, actions are sampled while training and the score function stands in for it, see credit.py.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, UInt32
from pydantic import Field

from es_randomized.compilation import HERE, Compiler, jit
from es_randomized.config.experiment import Experiment
from es_randomized.drivers import plan
from es_randomized.drivers.credit import Credit, surrogate
from es_randomized.drivers.driver import Driver, Evaluator, Program
from es_randomized.drivers.layout import first_weights, fitness_of, with_plan, with_tile
from es_randomized.drivers.ledger import GRADIENT_PASSES, Cost, batch_cost, pool_cost
from es_randomized.errors import ConfigError, MemoryBudgetError, NonFiniteLossError
from es_randomized.fitness import Fitness, GenerationInputs, parameters
from es_randomized.precision import drawing
from es_randomized.schedules import Ramp, Values
from es_randomized.settings import DriverSettings, settings
from es_randomized.strategies.optimizers import Optimizer
from es_randomized.strategies.strategy import PartsOf, State
from es_randomized.tasks.task import Task


@settings
class GradientSettings(DriverSettings):
    """Gradient descent on the objective of every generation's batch.

    Attributes:
        kind: `gradient`.
        optimizer: of the weights.
        credit: which loss an action sampled while training is blamed for: that of its whole `rollout`, or what still was to
            come at its own `decision`, against the others that had one to make at that step.
        samples: rollouts of every instance and seed, for tasks with sampled actions. Compared with others of its own seed an
            action shows what it did, where other seeds differ anyway.
        entropy: reward for undecided policies, for tasks with sampled actions: how much less a case loses for every nat of
            its decisions' mean entropy. In units of the loss; a `Ramp` to 0 lets a policy make up its mind.
        non_finite: a NaN or infinite loss or gradient stops the run, always: one weight vector has no rank to lose.
    """

    kind: Literal["gradient"] = "gradient"
    optimizer: Optimizer = Field(default_factory=Optimizer)
    credit: Credit = "rollout"
    samples: Annotated[int, Field(ge=1)] = 1
    entropy: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Ramp = 0.0
    non_finite: Literal["stop"] = "stop"

    def without_arguments(self) -> "GradientSettings":
        entropy = 1.0 if self.entropy else 0.0  # without it programs leave it out
        return replace(self, optimizer=replace(self.optimizer, learning_rate=1.0), entropy=entropy)


class GradientState(NamedTuple):
    """All a generation needs of the past: the weights and what the optimizer remembers."""

    weights: Float[Array, " param"]
    optimizer: Any


@dataclass(frozen=True)
class Gradient(Driver):
    """A resolved experiment with its fitness and optimizer. Build it with `Gradient.of`."""

    Settings: ClassVar[type[DriverSettings]] = GradientSettings

    experiment: Experiment
    fitness: Fitness
    share_with: "Gradient | None" = None
    compiler: Compiler = HERE

    @classmethod
    def of(cls, experiment: Experiment, share_with: Driver | None = None, compiler: Compiler = HERE) -> "Gradient":
        """An `auto` tile is made as small as memory asks for."""
        settings_ = experiment.driver
        assert isinstance(settings_, GradientSettings)
        _refuse_without_gradient(experiment.task, settings_)
        shared = share_with if isinstance(share_with, cls) else None
        if shared:
            experiment = replace(experiment, plan=shared.experiment.plan)
        tiled = with_tile(experiment, compiler, settings_.samples)
        driver = cls(tiled, fitness_of(tiled, block=1), shared, compiler)
        return driver if experiment.plan.tile != "auto" else driver._with_tile_that_fits()

    @property
    def settings(self) -> GradientSettings:
        """The section `driver:`."""
        assert isinstance(self.experiment.driver, GradientSettings)
        return self.experiment.driver

    @cached_property
    def optimizer(self) -> optax.GradientTransformation:
        """Of the weights."""
        return self.settings.optimizer.build(self.experiment.budget.generations)

    @property
    def title(self) -> str:
        plain = self.experiment.task.differentiable
        how = "backpropagation" if plain else "score function (samples actions while training)"
        return f"gradient descent by {how}, in this process on one device"

    @property
    def parameters(self) -> int:
        return parameters(self.experiment.model, self.experiment.task)

    @property
    def losses_per_generation(self) -> int:
        """One: the objective of the batch."""
        return 1

    def init(self) -> State:
        return self._state(first_weights(self.experiment)[0])

    def start(self, weights: Float[Any, " param"]) -> State:
        return self._state(jnp.asarray(weights))

    def step(self, state: State, generation: int, evaluator: Evaluator) -> tuple[Float[np.ndarray, " member"], State]:
        return self._advance(state, generation)

    def replay(
        self,
        state: State,
        generation: int,
        losses: Float[np.ndarray, " member"],
        parts_of: PartsOf | None = None,
    ) -> State:
        """The step is computed again: its loss does not determine it."""
        return self._advance(state, generation)[1]

    def _state(self, weights: Float[Array, " param"]) -> GradientState:
        return GradientState(weights, self.optimizer.init(weights))

    def _advance(self, state: State, generation: int) -> tuple[Float[np.ndarray, " 1"], State]:
        loss, slope, after = self.program(state, *self._told(generation))
        if not np.isfinite(loss) or not np.isfinite(slope):
            raise NonFiniteLossError(
                f"the loss of generation {generation} is {loss:g} and the norm of its gradient {slope:g} "
                f"(seed {self.experiment.seed}); lower driver.optimizer.learning_rate or set driver.optimizer.clip_norm"
            )
        return np.asarray(loss)[None], after

    def centre(self, state: State) -> Float[Array, " param"]:
        return jnp.asarray(state.weights)

    def cost(self) -> Cost:
        experiment = self.experiment
        cost = batch_cost(experiment.task, experiment.model, experiment.batch)
        step = Cost(cost.rollouts, cost.tokens, GRADIENT_PASSES * cost.flops).times(self.settings.samples)
        return step.plus(pool_cost(experiment.task, experiment.model, experiment.batch))

    def programs(self) -> list[Program]:
        return [Program("gradient step", self.program, self._arguments(), 1, float(self.cost().flops))]

    def describe(self) -> dict[str, str]:
        return {
            "step": f"{self._bytes() / plan.MIB:,.1f} MiB of memory",
            "inner step": f"{self.experiment.plan.tile} cases",
        }

    def gradient(
        self, weights: Float[Array, " param"], inputs: GenerationInputs, entropy: Float[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], Float[Array, " param"]]:
        """The objective of a generation's batch and its derivative, or an estimate of both; traceable.

        Args:
            entropy: the number of that setting, where actions are sampled; none by default.
        """
        if self.experiment.batch.hardest_of:
            inputs = inputs._replace(hardest=self.fitness.hardest(jax.lax.stop_gradient(weights), inputs))
        now = self.fitness.at(inputs)
        plain = self.experiment.task.differentiable
        of_weights = (
            partial(_loss, now)
            if plain
            else partial(surrogate, now, self.settings.credit, self.settings.samples, entropy)
        )
        differentiated = jax.value_and_grad(of_weights, has_aux=True)
        (_, loss), slope = differentiated(weights, inputs.generation)
        return loss, slope

    @cached_property
    def program(self) -> Any:
        """The compiled step: (state, inputs, learning rate, entropy) -> (loss, norm of the gradient, state after it)."""
        return self.share_with.program if self.share_with else jit(self._step, self.experiment.model.precision)

    def _step(
        self, state: GradientState, inputs: GenerationInputs, learning_rate: Float[Array, ""], entropy: Float[Array, ""]
    ) -> tuple[Array, Array, GradientState]:
        loss, slope = self.gradient(state.weights, inputs, entropy if self.settings.entropy else None)
        optimizer = self.settings.optimizer.build(self.experiment.budget.generations, lambda _count: learning_rate)
        precision = self.experiment.model.precision
        with drawing(precision), jax.numpy_dtype_promotion("standard"):  # optax raises a decay to its integer count
            updates, memory = optimizer.update(slope, state.optimizer, state.weights)
        return loss.astype(jnp.float32), jnp.linalg.norm(slope), GradientState(state.weights + updates, memory)

    @cached_property
    def _learning_rate(self) -> Values:
        experiment = self.experiment
        return Values(self.settings.optimizer.learning_rate, experiment.budget.generations, experiment.first)

    @cached_property
    def _entropy(self) -> Values:
        return Values(self.settings.entropy, self.experiment.budget.generations, self.experiment.first)

    def _told(self, generation: int) -> tuple[GenerationInputs, np.float32, np.float32]:
        """What the program is told of a generation."""
        return self.fitness.inputs(generation), self._learning_rate[generation], self._entropy[generation]

    def _arguments(self) -> tuple[Any, ...]:
        return jax.eval_shape(self.init), *self._told(self.fitness.first)

    def _bytes(self) -> int:
        return self.compiler.memory_bytes(self.program, *self._arguments())

    def _with_tile_that_fits(self) -> "Gradient":
        memory, tile = self.experiment.plan.memory_mib, int(self.experiment.plan.tile)
        needed = self._bytes()
        if needed <= memory * plan.MIB:
            return self
        if tile == 1:
            raise MemoryBudgetError(
                f"a gradient step needs {needed / plan.MIB:.1f} MiB, but plan.memory_mib is {memory}; "
                f"raise it to {-(-needed // plan.MIB)} or make the model or the batch smaller"
            )
        smaller = with_plan(self.experiment, tile=plan.smaller_tile(self.fitness.batch.cases(self.fitness.task), tile))
        return replace(
            self, experiment=smaller, fitness=fitness_of(smaller, block=1), share_with=None
        )._with_tile_that_fits()


def _loss(fitness: Fitness, weights: Float[Array, " param"], generation: UInt32[Array, ""]) -> tuple[Array, Array]:
    """What is differentiated, and the objective: one and the same."""
    loss = fitness.objective(fitness.losses(weights, generation))
    return loss, loss


def _refuse_without_gradient(task: Task, driver: GradientSettings) -> None:
    if not task.differentiable and not task.samples_actions:
        raise ConfigError(
            f"driver.kind: gradient descent cannot train {type(task).__name__}: its loss has no gradient and it has no "
            "sampled_rollout; use an evolution strategy, for example driver: {kind: Open_ES}"
        )
    if task.differentiable and (driver.entropy or driver.credit != "rollout" or driver.samples > 1):
        raise ConfigError(
            f"driver: credit, samples and entropy are about actions sampled while training, but {type(task).__name__} has a "
            "gradient and samples none; leave them out"
        )
