"""Strategies whose population never exists as a matrix: noise is drawn again wherever it is needed.

To evaluate, a worker draws the rows of its members; to update, columns: a part of the update is the weighted sums over all
rows for some columns, so that no machine does the whole work and memory is bounded by one part. Parts have a fixed size and
add up rows in a fixed order, hence the same bits whoever computes them.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.evosax_algorithm import configured, relaxed
from es_randomized.strategies.low_rank import LowRank
from es_randomized.strategies.noise import NOISES, Noise
from es_randomized.strategies.placement import explained
from es_randomized.strategies.rules import RULES, Rule
from es_randomized.strategies.shaping import by_name, centred, ranks
from es_randomized.strategies.strategy import Draw, Member, Parts, PartsOf, State, Strategy

PARTS = 16  # enough to share among workers; few enough that messages cost nothing
ALIGN = 32
NARROWEST, WIDEST = 2**11, 2**16  # columns of a part: a row of fewer costs as much, a row of more leaves the cache
CHEAPEST = 0.05  # of a normal's cost: an entry must be read, multiplied and added even where nothing is drawn


class Streamed(Strategy):
    """A rule with its noise. `sample` is the distribution's mean and scale, and the generation.

    Args:
        shapes: of the weights in flat order, which a low rank is about.
        side_by_side: members are evaluated several at a time, so low-rank ones can share their matrix products.
    """

    parts: Parts

    def __init__(
        self,
        settings: EvolutionSettings,
        parameters: int,
        seed: int,
        generations: int,
        shapes: tuple[tuple[int, ...], ...] = (),
        side_by_side: bool = False,
    ) -> None:
        algorithm, params, std = configured(settings, parameters, generations)
        self.rule: Rule = RULES[settings.kind](params, getattr(algorithm, "optimizer", None), std)
        self.population, self.parameters, self.seed = settings.population, parameters, seed
        self.signs = 2 if self.rule.paired else 1
        rank = settings.rank
        self.noise: Noise = LowRank(parameters, shapes, rank) if rank else NOISES[settings.noise](parameters)
        self.kept = self.noise.prepare(seed)
        self._shape = _shaping(algorithm.fitness_shaping_fn, params)
        self._sample, self._update = jit(self._sample_raw), jit(self._update_raw)
        self._width = parameters if rank else _width(parameters)
        self.parts = Parts(
            count=-(-parameters // self._width),
            shape=(1 + self.rule.seconds, self._width),
            compute=jit(self._part),
            entries=self.rows * parameters * max(self.noise.draws_per_entry, CHEAPEST),
        )
        # A product of thin matrices stays one only under a step size common to all entries.
        self.factored = side_by_side and isinstance(self.noise, LowRank) and self.sample_shape()["scale"].ndim == 0

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

    def row(self, sample: Any, index: Int[Array, ""]) -> Any:
        if self.factored:
            return self._low_rank.factors(self._key(sample), index)
        noise = self.noise.block(sample["kept"], self._key(sample), index[None], 0, self.parameters)[0]
        return jnp.broadcast_to(sample["scale"], noise.shape) * noise

    def member(self, sample: Any, row: Any, side: Float[Array, ""]) -> Member:
        if self.factored:
            return self._low_rank.perturbed(sample["mean"], row, side * sample["scale"])
        return sample["mean"] + side * row

    def tell(self, draw: Draw, losses: Float[np.ndarray, " member"], parts_of: PartsOf | None = None) -> State:
        with relaxed():
            shaped = self._shape(losses)
            parts = parts_of(self.parts, draw, shaped) if parts_of else self.parts.here(draw.sample, shaped)
            sums = np.concatenate(parts, axis=1)[:, : self.parameters]
            return self._update(draw.state, np.uint32(draw.generation), shaped, sums)

    def centre(self, state: State) -> Float[Array, " param"]:
        return jnp.asarray(state["mean"])

    def sample_shape(self) -> Any:
        with relaxed():
            state = jax.eval_shape(self.rule.init, jax.ShapeDtypeStruct((self.parameters,), np.float32))
            return jax.eval_shape(self._sample_raw, state, np.uint32(0), self.kept)

    def describe(self) -> dict[str, str]:
        draws = self.rows * self.parameters * self.noise.draws_per_entry
        how = ", matrices shared by members side by side" if self.factored else ""
        return {
            "population matrix": "none: noise is drawn again for members and for the update",
            "noise": f"{self.noise.title}, {draws:,.0f} random numbers for members, as many for the update{how}",
            "update": explained(self.parts),
        }

    @property
    def _low_rank(self) -> LowRank:
        assert isinstance(self.noise, LowRank)
        return self.noise

    def _key(self, sample: Any) -> Key[Array, ""]:
        return rng.address(self.seed, rng.Purpose.NOISE, sample["generation"])

    def _sample_raw(self, state: State, generation: Any, kept: Any) -> Any:
        return _sample(state["mean"], self.rule.scale(state, generation), generation, kept)

    def _part(self, sample: Any, shaped: Float[Array, " member"], index: Int[Array, ""]) -> Float[Array, "sum width"]:
        with relaxed():
            weights = self.rule.weights(shaped)
        return self.noise.sums(sample["kept"], self._key(sample), weights, index * self._width, self._width)

    def _update_raw(self, state: State, generation: Any, shaped: Float[Array, " member"], sums: Any) -> State:
        return self.rule.update(state, generation, shaped, sums)


def _sample(mean: Any, scale: Any, generation: Any, kept: Any) -> dict[str, Any]:
    return {"mean": mean, "scale": scale, "generation": generation, "kept": kept}


def _shaping(function: Any, params: Any) -> Callable[[Float[np.ndarray, " member"]], Float[np.ndarray, " member"]]:
    """evosax's shaping of losses as a function of losses alone."""
    ranked = function is by_name("centred_rank")
    compiled = jit(centred if ranked else lambda losses: function(None, losses, None, params))
    return lambda losses: np.asarray(compiled(ranks(losses) if ranked else losses))


def _width(parameters: int) -> int:
    """Columns of a part; all of them, where they are few."""
    share = max(NARROWEST, -(-parameters // (PARTS * ALIGN)) * ALIGN)
    return min(WIDEST, share, -(-parameters // ALIGN) * ALIGN)
