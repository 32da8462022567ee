"""Fitness: members x instances x seeds -> one loss per member, as one compiled program of bounded memory.

All members of a generation meet the same instances and the same seeds (common random numbers), and what does not depend
on the weights is prepared once for all of them. The program walks over members and, for each, over tiles of cases small
enough to stay in a core's cache; memory is bounded by one tile whatever the population.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key, UInt32

from es_randomized import rng
from es_randomized.cases import alternating, by_instance, pair
from es_randomized.config.sections import Batch
from es_randomized.errors import ConfigError
from es_randomized.input_kinds import Draws
from es_randomized.models.model import Model
from es_randomized.objectives.objective import Objective
from es_randomized.objectives.split_batch import SplitBatch
from es_randomized.policy import Policy, Tempered, Weights
from es_randomized.precision import drawing, widened
from es_randomized.schedules import Values
from es_randomized.tasks.decisions import Decisions
from es_randomized.tasks.task import Observations, Outcome, Task


class Members(NamedTuple):
    """How the members of a row of noise are made.

    Attributes:
        row: index -> what the members of the row share, drawn once for all of them.
        weights: (that, sign) -> the weights of one member of the row, as the model takes them.
        antithetic_signs: +1, and -1 where members come as antithetic pairs.
    """

    row: Callable[[Int[Array, ""]], Any]
    weights: Callable[[Any, Float[Array, ""]], Weights]
    antithetic_signs: Float[np.ndarray, " antithetic"]


class GenerationInputs(NamedTuple):
    """A generation of a run as its programs are told of it: arguments, so that runs of one shape share programs.

    Attributes:
        generation, seed: uint32.
        number: float32, of the objective, where it takes one.
        hardest: int32 [bundle], places in the generation's pool of the instances chosen for being hard; none without a pool.
        temperature: float32, of sampled actions; none where actions are the best ones.
    """

    generation: Any
    seed: Any
    number: Any
    hardest: Any = ()
    temperature: Any = ()


@dataclass(frozen=True)
class Fitness:
    """The losses of members, as a function of their weights and the generation.

    Attributes:
        generations: that schedules span, of the run or of a phase.
        tile: cases per inner step; divides the number of cases.
        block: members per inner step: 1 on a CPU, many on an accelerator.
        first: of those generations.
        hardest_places: in the pool of a generation, of those chosen for being hard; see `at`.
        temperature: of actions that are sampled while training, the same samples for all members; none: they take the best.
    """

    task: Task
    model: Model
    objective: Objective | SplitBatch
    batch: Batch
    seed: rng.AddressPart
    generations: int
    tile: int
    block: int
    first: int = 0
    hardest_places: Any = ()
    temperature: Any = None

    def __call__(
        self, rows: Int[Array, " row"], members: Members, inputs: GenerationInputs
    ) -> Float[Array, "row antithetic *view"]:
        """The loss of every member of some rows of noise, lower is better. Weights exist `block` rows at a time.

        With a `SplitBatch` objective there is one for each view of the batch.
        """
        now = self.at(inputs)
        observations = now.observations(inputs.generation)

        def losses(index: Int[Array, ""]) -> Float[Array, "antithetic *view"]:
            with drawing(self.model.precision):
                row = members.row(index)

            def loss(sign: Float[Array, ""]) -> Float[Array, "*view"]:
                weights = self._drawn(members.weights, row, sign)
                return now.objective(now._losses(weights, observations, inputs.generation)).astype(jnp.float32)

            side_by_side = jax.vmap(loss) if self.block > 1 else partial(jax.lax.map, loss)
            return side_by_side(jnp.asarray(members.antithetic_signs))

        return jax.lax.map(losses, rows, batch_size=self.block if self.block > 1 else None)

    def inputs(self, generation: int) -> GenerationInputs:
        """What programs are told of a generation of this run; any instances of its pool pass for the hardest."""
        number = self._values[generation] if self._values else np.float32(0)
        temperature = self._temperatures[generation] if self._temperatures else ()
        return GenerationInputs(np.uint32(generation), np.uint32(self.seed), number, self._any_places, temperature)

    def at(self, inputs: GenerationInputs) -> "Fitness":
        """The same with the seed and the objective of a generation, as they are known inside a program."""
        now = replace(self, seed=inputs.seed, hardest_places=inputs.hardest)
        if self.temperature is not None:
            now = replace(now, temperature=inputs.temperature)
        return replace(now, objective=self.objective.given(inputs.number).on(partial(now.draws, inputs.generation)))

    def hardest(self, flat: Float[Array, " param"], inputs: GenerationInputs) -> Int[Array, " bundle"]:
        """Places in a generation's pool of the bundles that these weights lose most on, on seeds that no member meets.

        A bundle is as hard as the worst of its instances. Online hard example mining (arXiv:1604.03540).
        """
        now = replace(self, seed=inputs.seed, temperature=None)
        pool = self._drawn(now._pool, inputs.generation)
        mean = jnp.mean(now._losses(self._drawn(self.unravel, flat), pool, inputs.generation), axis=1)
        worst = jnp.max(mean.reshape(-1, self.task.bundle), axis=1)
        return jnp.argsort(-worst)[: self.batch.random_bundles(self.task)].astype(jnp.int32)

    def draws(self, generation: UInt32[Array, ""]) -> Draws:
        """What objectives may know of the instances and seeds of a generation; of a task with kinds of inputs."""
        kinds = self.task.kinds
        assert kinds is not None, "an objective that looks at what was drawn says so: takes_kinds = True"
        key = rng.address(self.seed, rng.Purpose.SPECIALISTS)
        with drawing(self.model.precision):
            seeds = self.task.seeds(self._seed_key(generation), self.batch.seeds)
            return Draws(kinds, kinds.of(self.bundles(generation)), kinds.numbers(seeds), key)

    def losses(self, flat: Float[Array, " param"], generation: UInt32[Array, ""]) -> Float[Array, "instance seed"]:
        """What one member loses on every instance with every seed; its derivative keeps one tile in memory at a time."""
        return self._losses(self._drawn(self.unravel, flat), self.observations(generation), generation)

    def sampled_losses(
        self, flat: Float[Array, " param"], generation: UInt32[Array, ""], samples: int = 1
    ) -> tuple[Float[Array, "instance case"], Decisions]:
        """The same with sampled actions, and the decisions, `[step, instance, case]`.

        Args:
            samples: rollouts of every instance and seed; cases are seeds with their samples next to one another.
        """
        policy, *others = self.model.trained(self._drawn(self.unravel, flat), self.task.interface)
        if others:
            raise ConfigError(
                "model.last: gradient descent by sampled actions trains one policy, the last turn's; leave it out, or use an "
                "evolution strategy"
            )

        @jax.checkpoint
        def rollout(index: UInt32[Array, ""], tile: Observations) -> tuple[Array, Decisions]:
            outcome, decided = self.task.sampled_rollout(policy, tile, self._action_key(generation, index))
            return outcome.loss, decided if isinstance(decided, Decisions) else one_decision(outcome.loss, decided)

        tiles = self.observations(generation, samples)
        losses, decisions = jax.lax.map(lambda numbered: rollout(*numbered), (self._tile_numbers, tiles))
        cases = self.batch.seeds * samples
        by_step = jax.vmap(lambda step: by_instance(step, cases), in_axes=1)
        return by_instance(losses, cases), jax.tree.map(by_step, decisions)

    def observations(self, generation: UInt32[Array, ""], samples: int = 1) -> Observations:
        """What all members of a generation see: leading axis tile, last axis the cases of that tile, so many of each."""
        return self._drawn(partial(self._observations, samples=samples), generation)

    def _observations(self, generation: UInt32[Array, ""], samples: int) -> Observations:
        return self._paired(self.bundles(generation), self._seed_key(generation), generation, samples)

    def _pool(self, generation: UInt32[Array, ""]) -> Observations:
        fixed = self._seed_key(generation)
        own = fixed if self.batch.fixed_seed else rng.address(self.seed, rng.Purpose.POOL_SEEDS, generation)
        return self._paired(self._pooled(generation), own, generation)

    def _paired(self, bundles: Any, seed_key: Any, generation: UInt32[Array, ""], samples: int = 1) -> Observations:
        seeds = self.task.seeds(seed_key, self.batch.seeds)
        if samples > 1:
            seeds = jax.tree.map(lambda x: jnp.repeat(x, samples, axis=-1), seeds)
        everything = self.task.observe(*pair(bundles, seeds))
        played = self.task.thin(everything, rng.address(self.seed, rng.Purpose.THINNING, generation))

        def split(x: Array) -> Array:
            return jnp.moveaxis(x.reshape(*x.shape[:-1], -1, self.tile * samples), -2, 0)

        return jax.tree.map(split, played)

    def unravel(self, flat: Float[Array, " param"] | list[Any]) -> Weights:
        """Weights as the model's pytree: flat ones, or their leaves in flat order."""
        if isinstance(flat, list):
            return jax.tree.unflatten(jax.tree.structure(self.model.shapes(self.task.interface)), flat)
        return unraveller(self.model, self.task)(flat)

    def _drawn(self, draw: Callable[..., Any], *arguments: Any) -> Any:
        """What a draw gives: the same float32 numbers whatever policies compute with, and then as they do."""
        with drawing(self.model.precision):
            drawn = draw(*arguments)
        return widened(drawn, self.model.precision)

    @cached_property
    def _temperatures(self) -> Values | None:
        return None if self.temperature is None else Values(self.temperature, self.generations, self.first)

    @cached_property
    def _values(self) -> Values | None:
        return self.objective.values(self.generations, self.first)

    def bundles(self, generation: UInt32[Array, ""]) -> Any:
        """The instances of a generation; with hard ones, random and hard in turns."""
        if self.batch.instances == "all":
            return jnp.asarray(self.task.enumerate())
        key = rng.address(self.seed, rng.Purpose.INSTANCES, generation)
        bundles = self.task.sample(key, self.batch.random_bundles(self.task))
        if not self.batch.hardest_of:
            return bundles
        hard = jax.tree.map(lambda x: x[..., self.hardest_places], self._pooled(generation))
        return jax.tree.map(alternating, bundles, hard)

    def _pooled(self, generation: UInt32[Array, ""]) -> Any:
        assert self.batch.hardest_of
        key = rng.address(self.seed, rng.Purpose.POOL, generation)
        return self.task.sample(key, self.batch.hardest_of // self.task.bundle)

    @property
    def _any_places(self) -> Any:
        """Of bundles in the pool, before anyone has looked which are the hardest."""
        return np.arange(self.batch.random_bundles(self.task), dtype=np.int32) if self.batch.hardest_of else ()

    def _seed_key(self, generation: UInt32[Array, ""]) -> Any:
        return rng.address(self.seed, rng.Purpose.SEEDS, 0 if self.batch.fixed_seed else generation)

    @property
    def _tile_numbers(self) -> UInt32[Array, " tile"]:
        return jnp.arange(self.batch.cases(self.task) // self.tile, dtype=jnp.uint32)

    def _action_key(self, generation: UInt32[Array, ""], tile: UInt32[Array, ""]) -> Key[Array, ""]:
        return rng.address(self.seed, rng.Purpose.ACTIONS, generation, tile)

    def _losses(
        self, weights: Weights, tiles: Observations, generation: UInt32[Array, ""]
    ) -> Float[Array, "instance seed"]:
        policies = self.model.trained(weights, self.task.interface)

        # A derivative computes a tile's activations again instead of keeping all tiles'; evolution's program is the same.
        @jax.checkpoint
        def rollout(tile: Observations, *number: UInt32[Array, ""]) -> Float[Array, "variant case"]:
            first, *others = (self._outcome(policy, tile, generation, *number).loss for policy in policies)
            return sum(others, first) / len(policies) if others else first

        numbers = () if self.temperature is None else (self._tile_numbers,)
        return by_instance(jax.lax.map(lambda each: rollout(*each), (tiles, *numbers)), self.batch.seeds)

    def _outcome(self, policy: Policy, tile: Observations, generation: Any, *number: UInt32[Array, ""]) -> Outcome:
        if not number:
            return self.task.rollout(policy, tile)
        key = self._action_key(generation, *number)
        return self.task.sampled_rollout(Tempered(policy, self.temperature), tile, key)[0]


def one_decision(loss: Float[Array, "variant case"], log_probability: Float[Array, "variant case"]) -> Decisions:
    """All actions of a case as a single decision, which the whole loss is due to."""
    return Decisions(log_probability[None], jnp.ones((1, *loss.shape), bool), loss[None])


def unraveller(model: Model, task: Task) -> Any:
    """The function from flat parameters to the model's pytree."""
    return ravel_pytree(jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), model.shapes(task.interface)))[1]


def weight_shapes(model: Model, task: Task) -> tuple[tuple[int, ...], ...]:
    """Shapes of the weights of `model` on `task`, in their flat order."""
    return tuple(leaf.shape for leaf in jax.tree.leaves(model.shapes(task.interface)))


def parameters(model: Model, task: Task) -> int:
    """Number of parameters of `model` on `task`."""
    return sum(math.prod(shape) for shape in weight_shapes(model, task))
