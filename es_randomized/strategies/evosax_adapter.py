"""Every evosax algorithm behind the `Strategy` interface, with its population held as a matrix [member, param].

evosax's state is normalised to strong types here; else the second generation would compile again.
"""

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.strategies.evolution_settings import ShapedSettings
from es_randomized.strategies.evosax_algorithm import configured, relaxed
from es_randomized.strategies.placement import explained
from es_randomized.strategies.strategy import (
    Ask,
    Member,
    PartsOf,
    Proposal,
    RowNoise,
    SearchSpace,
    State,
    Strategy,
    bytes_of,
)

Population = Float[Array, "member param"]


class EvosaxStrategy(Strategy):
    """One evosax algorithm, the one its settings' kind names. Rows of its noise are members."""

    Settings = ShapedSettings
    holds_matrix = True

    def __init__(self, settings: ShapedSettings, space: SearchSpace) -> None:
        from evosax.algorithms.population_based.base import PopulationBasedAlgorithm

        super().__init__(settings, space)
        self.algorithm, self.params, self.std = configured(settings.kind, settings, space)
        # Such an algorithm has no distribution with a mean: its centre is the best member it holds.
        self._keeps_population = isinstance(self.algorithm, PopulationBasedAlgorithm)
        self._init, self._ask, self._tell = jit(self._init_raw), jit(self._ask_raw), jit(self._tell_raw)

    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        with relaxed():
            return self._init(key, centre)

    def carry(self, state: State, fresh: State) -> State:
        """Losses of the phase before do not compare with those of this one, so what was best is found anew."""
        names = ["generation_counter", "best_fitness", *(["fitness"] if self._keeps_population else [])]
        if hasattr(self.algorithm, "std_schedule"):
            names.append("std")
        carried = super().carry(state, fresh)
        return carried.replace(**{name: getattr(fresh, name) for name in names})

    def ask(self, state: State, generation: int) -> Ask:
        with relaxed():
            return Ask(generation, state, self._ask(state, np.uint32(generation)))

    def message(self, ask: Ask) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in jax.tree.leaves(ask.state)]

    def receive(self, message: list[np.ndarray], generation: int) -> Proposal:
        return self.ask(jax.tree.unflatten(self._structure, message), generation).proposal

    def row(self, proposal: Proposal, index: Int[Array, ""]) -> Float[Array, " param"]:
        return proposal[0][index]

    def member(self, proposal: Proposal, row: RowNoise, sign: Float[Array, ""]) -> Member:
        return row

    def tell(self, ask: Ask, losses: Float[np.ndarray, " member"], parts_of: PartsOf | None = None) -> State:
        population, asked = ask.proposal
        with relaxed():
            return self._tell(asked, population, losses, np.uint32(ask.generation))

    def centre(self, state: State) -> Float[Array, " param"]:
        if self._keeps_population:
            return jnp.asarray(state.population)[jnp.argmin(state.fitness)]
        return jnp.asarray(state.mean)

    def proposal_shape(self) -> Proposal:
        centre = jax.ShapeDtypeStruct((self.parameters,), np.float32)
        with relaxed():
            state = jax.eval_shape(self._init_raw, jax.random.key(0), centre)
            return jax.eval_shape(self._ask_raw, state, np.uint32(0))

    def describe(self) -> dict[str, str]:
        numbers, bytes_ = self.population * self.parameters, bytes_of(self.proposal_shape())
        return {
            "population matrix": f"{4 * numbers / 2**20:,.1f} MiB in every process, {bytes_ / 2**20:,.1f} MiB with the state",
            "noise": f"{numbers:,} random numbers at most, in every process",
            "update": explained(self.parts),
        }

    @cached_property
    def _structure(self) -> jax.tree_util.PyTreeDef:
        centre = jax.ShapeDtypeStruct((self.parameters,), np.float32)
        with relaxed():
            return jax.tree.structure(jax.eval_shape(self._init_raw, jax.random.key(0), centre))

    def _init_raw(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        if not self._keeps_population:
            state = self.algorithm.init(key, centre, self.params)
            if hasattr(self.algorithm, "std_schedule"):
                state = state.replace(std=jnp.broadcast_to(self.std(0), jnp.shape(state.std)))
            return _strong(state)
        first, then = jax.random.split(key)
        noise = jax.random.normal(first, (self.population, self.parameters))
        unevaluated = jnp.full(self.population, jnp.inf)
        return _strong(self.algorithm.init(then, centre + self.std(0) * noise, unevaluated, self.params))

    def _ask_raw(self, state: State, generation: rng.AddressPart) -> tuple[Population, State]:
        key = rng.address(self.seed, rng.Purpose.NOISE, generation)
        population, asked = self.algorithm.ask(key, state, self.params)
        return population, _strong(asked)

    def _tell_raw(
        self, asked: State, population: Population, losses: Float[Array, " member"], generation: rng.AddressPart
    ) -> State:
        key = rng.address(self.seed, rng.Purpose.UPDATE, generation)
        state, _ = self.algorithm.tell(key, population, losses, asked, self.params)
        return _strong(state)


def _strong(state: State) -> State:
    """The state with numbers made arrays and weak types made strong, so that one program serves all generations."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), state)
