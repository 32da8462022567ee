"""Strategies whose population never exists as a matrix: noise is drawn again wherever it is needed.

To evaluate, a worker draws the rows of its members; to update, columns: a part of the update is the weighted sums over all
rows for some columns, so that no machine does the whole work and memory is bounded by one part. Parts have a fixed size and
add up rows in a fixed order, hence the same bits whoever computes them.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.evosax_adapter import EvosaxStrategy, relaxed
from es_randomized.strategies.noise import NOISES, LowRank, Noise
from es_randomized.strategies.placement import explained
from es_randomized.strategies.rules import RULES, Rule
from es_randomized.strategies.strategy import Draw, PartsOf, State, Strategy

PARTS = 16  # enough to share among workers; few enough that messages cost nothing
ALIGN = 32
WIDEST = 2**16
CHEAPEST = 0.05  # of a normal's cost: an entry must be read, multiplied and added even where nothing is drawn


class Streamed(Strategy):
    """A rule with its noise. `sample` is the distribution's mean and scale, and the generation."""

    def __init__(
        self,
        settings: EvolutionSettings,
        parameters: int,
        seed: int,
        generations: int,
        shapes: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        """Bind the settings; `shapes` of the weights, in their flat order, are what a low rank is about."""
        evosax = EvosaxStrategy(settings, parameters, seed, generations)  # for its numbers and its shaping
        optimizer = getattr(evosax.algorithm, "optimizer", None)
        self.rule: Rule = RULES[settings.kind](evosax.params, optimizer, evosax.std)
        self.shape = partial(_shaped, evosax.algorithm.fitness_shaping_fn, evosax.params)
        self.population, self.parameters, self.seed = settings.population, parameters, seed
        self.signs = 2 if self.rule.paired else 1
        rank = settings.rank
        self.noise: Noise = LowRank(parameters, shapes, rank) if rank else NOISES[settings.noise](parameters)
        self.kept = self.noise.prepare(seed)
        self.width = parameters if rank else min(WIDEST, -(-parameters // (PARTS * ALIGN)) * ALIGN)
        self.parts = -(-parameters // self.width)
        self.part = jit(self._part)
        self.part_shape = (1 + self.rule.seconds, self.width)
        self.update_entries = self.rows * parameters * max(self.noise.draws_per_entry, CHEAPEST)
        self._shape, self._sample, self._update = jit(self.shape), jit(self._sample_raw), jit(self._update_raw)

    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        return self.rule.init(centre)

    def draw(self, state: State, generation: int) -> Draw:
        with relaxed():
            return Draw(generation, state, self._sample(state, np.uint32(generation), self.kept))

    def message(self, draw: Draw) -> list[np.ndarray]:
        return [np.asarray(draw.sample["mean"]), np.asarray(draw.sample["scale"])]

    def receive(self, message: list[np.ndarray], generation: int) -> Any:
        mean, scale = message
        return _sample(mean, scale, np.uint32(generation), self.kept)

    def members(self, sample: Any, rows: Int[Array, " row"]) -> Float[Array, "row sign param"]:
        noise = self.noise.block(sample["kept"], self._key(sample), rows, 0, self.parameters)
        step = jnp.broadcast_to(sample["scale"], noise.shape[1:])[None] * noise
        signed = [step, -step][: self.signs]
        return sample["mean"][None, None] + jnp.stack(signed, axis=1)

    def tell(self, draw: Draw, losses: Float[np.ndarray, " member"], parts_of: PartsOf | None = None) -> State:
        with relaxed():
            shaped = np.asarray(self._shape(losses))
            parts = (parts_of or self.parts_here)(draw, shaped)
            sums = np.concatenate(parts, axis=1)[:, : self.parameters]
            return self._update(draw.state, np.uint32(draw.generation), shaped, sums)

    def parts_here(self, draw: Draw, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        """All parts of the update, computed in this process one after the other."""
        return [np.asarray(self.part(draw.sample, shaped, np.int32(index))) for index in range(self.parts)]

    def centre(self, state: State) -> Float[Array, " param"]:
        return jnp.asarray(state["mean"])

    def sample_shape(self) -> Any:
        with relaxed():
            state = jax.eval_shape(self.rule.init, jax.ShapeDtypeStruct((self.parameters,), np.float32))
            return jax.eval_shape(self._sample_raw, state, np.uint32(0), self.kept)

    def describe(self) -> dict[str, str]:
        draws = self.rows * self.parameters * self.noise.draws_per_entry
        return {
            "population matrix": "none: noise is drawn again for members and for the update",
            "noise": f"{type(self.noise).__name__.lower()}, {draws:,.0f} random numbers for members, as many for the update",
            "update": explained(self),
        }

    def _key(self, sample: Any) -> Key[Array, ""]:
        return rng.address(self.seed, rng.Purpose.NOISE, sample["generation"])

    def _sample_raw(self, state: State, generation: Any, kept: Any) -> Any:
        return _sample(state["mean"], self.rule.scale(state, generation), generation, kept)

    def _part(self, sample: Any, shaped: Float[Array, " member"], index: Int[Array, ""]) -> Float[Array, "sum width"]:
        key, first = self._key(sample), index * self.width
        with relaxed():
            weights = self.rule.weights(shaped)

        def add(row: Int[Array, ""], sums: Float[Array, "sum width"]) -> Float[Array, "sum width"]:
            z = self.noise.block(sample["kept"], key, row[None], first, self.width)[0]
            terms = [weights.first[row] * z]
            if weights.second is not None:
                terms.append(weights.second[row] * (z * z))
            return sums + jnp.stack(terms)

        return jax.lax.fori_loop(0, self.rows, add, jnp.zeros(self.part_shape))

    def _update_raw(self, state: State, generation: Any, shaped: Float[Array, " member"], sums: Any) -> State:
        return self.rule.update(state, generation, shaped, sums)


def _sample(mean: Any, scale: Any, generation: Any, kept: Any) -> dict[str, Any]:
    return {"mean": mean, "scale": scale, "generation": generation, "kept": kept}


def _shaped(shaping: Any, params: Any, losses: Float[Array, " member"]) -> Float[Array, " member"]:
    return shaping(None, losses, None, params)
