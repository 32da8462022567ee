"""Strategies whose population never exists as a matrix: noise is drawn again wherever it is needed.

To evaluate, a worker draws the rows of its members; to update, a block of rows in a block of columns: a part of the update is
the weighted sums of one such block, so that no machine does the whole work and memory is bounded by one part. Parts have a
fixed size, add up rows in a fixed order, and are added in a fixed order, hence the same bits whoever computes them.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.strategies.division import divided
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.evosax_algorithm import configured, relaxed
from es_randomized.strategies.low_rank import LowRank
from es_randomized.strategies.noise import NOISES, Noise, RowWeights
from es_randomized.strategies.placement import explained
from es_randomized.strategies.rules import RULES, Losses, Rule
from es_randomized.strategies.shaping import by_name, centred, ranks
from es_randomized.strategies.strategy import Ask, Member, Parts, PartsOf, State, Strategy

OnHost = Float[np.ndarray, " member"]
CHEAPEST = 0.05  # of a normal's cost: an entry must be read, multiplied and added even where nothing is drawn


class Streamed(Strategy):
    """A rule with its noise. `proposal` is the distribution's mean and scale, the generation and the seed.

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
        self._settings = settings
        self.antithetic = self.rule.antithetic
        rank = settings.rank
        self.noise: Noise = LowRank(parameters, shapes, rank) if rank else NOISES[settings.noise](parameters)
        self.kept = self.noise.prepare(seed)
        self._shape = _shaping(algorithm.fitness_shaping_fn, params, self.rule)
        self._proposal, self._update = jit(self._propose), jit(self._update_raw)
        self._division = divided(self.rows, parameters, whole_rows=bool(rank))
        self.parts = Parts(
            down=self._division.down,
            across=self._division.across,
            shape=(1 + self.rule.seconds, self._division.width),
            compute=jit(self._part),
            entries=self.rows * parameters * max(self.noise.draws_per_entry, CHEAPEST),
        )
        # A product of thin matrices stays one only under a step size common to all entries.
        self.factored = side_by_side and isinstance(self.noise, LowRank) and self.proposal_shape()["scale"].ndim == 0

    def sharing(self, other: "Streamed") -> "Streamed":
        """The same with compiled programs of `other`, which differs in seed, step size and learning rate alone.

        What draws members and adds them up takes all of these from the proposal; the step itself has the latter two compiled in.
        """
        made = copy(self)
        made._shape, made.parts = other._shape, other.parts
        if self._settings == other._settings:
            made._proposal, made._update = other._proposal, other._update
        return made

    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        return self.rule.init(centre)

    def ask(self, state: State, generation: int) -> Ask:
        with relaxed():
            return Ask(generation, state, self._proposal(state, np.uint32(generation), np.uint32(self.seed), self.kept))

    def message(self, ask: Ask) -> list[np.ndarray]:
        return [np.asarray(ask.proposal["mean"]), np.asarray(ask.proposal["scale"])]

    def receive(self, message: list[np.ndarray], generation: int) -> Any:
        mean, scale = message
        return _proposal(mean, scale, np.uint32(generation), np.uint32(self.seed), self.kept)

    def row(self, proposal: Any, index: Int[Array, ""]) -> Any:
        if self.factored:
            return self._low_rank.factors(self._key(proposal), index)
        noise = self.noise.block(proposal["kept"], self._key(proposal), index[None], 0, self.parameters)[0]
        return jnp.broadcast_to(proposal["scale"], noise.shape) * noise

    def member(self, proposal: Any, row: Any, sign: Float[Array, ""]) -> Member:
        if self.factored:
            return self._low_rank.perturbed(proposal["mean"], row, sign * proposal["scale"])
        return proposal["mean"] + sign * row

    def tell(self, ask: Ask, losses: Float[np.ndarray, " member"], parts_of: PartsOf | None = None) -> State:
        with relaxed():
            shaped, counted = self._shape(losses)
            parts = parts_of(self.parts, ask, counted) if parts_of else self.parts.here(ask.proposal, counted)
            sums = self.parts.together(parts)[:, : self.parameters]
            return self._update(ask.state, np.uint32(ask.generation), shaped, sums)

    def centre(self, state: State) -> Float[Array, " param"]:
        return jnp.asarray(state["mean"])

    def proposal_shape(self) -> Any:
        with relaxed():
            state = jax.eval_shape(self.rule.init, jax.ShapeDtypeStruct((self.parameters,), np.float32))
            return jax.eval_shape(self._propose, state, np.uint32(0), np.uint32(0), self.kept)

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

    def _key(self, proposal: Any) -> Key[Array, ""]:
        return rng.address(proposal["seed"], rng.Purpose.NOISE, proposal["generation"])

    def _propose(self, state: State, generation: Any, seed: Any, kept: Any) -> Any:
        return _proposal(state["mean"], self.rule.scale(state, generation), generation, seed, kept)

    def _part(
        self, proposal: Any, counted: Float[Array, " member"], index: Int[Array, ""]
    ) -> Float[Array, "sum width"]:
        down, across, height, width = self._division
        with relaxed():
            weights = self.rule.weights(counted)
        if down == 1:
            return self._sums(proposal, weights, 0, index * width)
        row, column = index // across * height, index % across * width
        padded = jax.tree.map(lambda each: jnp.pad(each, (0, down * height - self.rows)), weights)
        of_block = jax.tree.map(lambda each: jax.lax.dynamic_slice(each, (row,), (height,)), padded)
        return self._sums(proposal, of_block, row, column)

    def _sums(self, proposal: Any, weights: RowWeights, row: Any, column: Any) -> Float[Array, "sum width"]:
        return self.noise.sums(proposal["kept"], self._key(proposal), weights, row, column, self._division.width)

    def _update_raw(self, state: State, generation: Any, shaped: Float[Array, " member"], sums: Any) -> State:
        return self.rule.update(state, generation, shaped, sums)


def _proposal(mean: Any, scale: Any, generation: Any, seed: Any, kept: Any) -> dict[str, Any]:
    return {"mean": mean, "scale": scale, "generation": generation, "seed": seed, "kept": kept}


def _shaping(function: Any, params: Any, rule: Rule) -> Callable[[OnHost], tuple[OnHost, OnHost]]:
    """Losses as the rule's update reads them, and as its parts do; `function` is evosax's."""
    ranked = function is by_name("centred_rank")

    def shaped(losses: Losses) -> tuple[Losses, Losses]:
        found = centred(losses) if ranked else function(None, losses, None, params)
        return found, rule.counted(found)

    compiled = jit(shaped)

    def on_host(losses: OnHost) -> tuple[OnHost, OnHost]:
        found, counted = compiled(ranks(losses) if ranked else losses)
        return np.asarray(found), np.asarray(counted)

    return on_host
