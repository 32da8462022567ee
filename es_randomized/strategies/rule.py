"""Strategies given by a rule: an update that reads the population only through two weighted sums over its noise.

The population never exists as a matrix, because a row of noise is a function of the seed, the generation and its number.
Whoever evaluates a member draws its row. An update draws the rows again, in parts: one part is the sums over a block of rows
in a block of columns. Parts are computed anywhere, and memory holds one at a time. Their sizes and the order of all sums are
fixed, so the result has the same bits whoever computes them.
"""

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.settings import settings
from es_randomized.strategies.division import divided
from es_randomized.strategies.evolution_settings import ShapedSettings
from es_randomized.strategies.evosax_algorithm import relaxed
from es_randomized.strategies.low_rank import LowRank
from es_randomized.strategies.noise import NOISES, Index, Kept, Noise, RowWeights
from es_randomized.strategies.placement import explained
from es_randomized.strategies.shaping import by_name, centred, no_weights, ranks
from es_randomized.strategies.strategy import (
    Ask,
    Member,
    Parts,
    PartsOf,
    Proposal,
    RowNoise,
    SearchSpace,
    State,
    Strategy,
)

Losses = Float[Array, " member"]  # after fitness shaping
Entries = Float[Array, " param"]
Sums = Float[Array, "sum param"]  # Σ a z and, where a rule asks for it, Σ b z²
OnHost = Float[np.ndarray, " member"]
CHEAPEST = 0.05  # of a normal's cost: an entry must be read, multiplied and added even where nothing is drawn


@settings
class RuleSettings(ShapedSettings):
    """A strategy given by a rule.

    Attributes:
        noise: normal; or cheaper and not normal: rademacher (+1 or -1), or table: windows of one table of normals, which
            overlap.
        rank: perturb every weight matrix by a product of two thin ones of this rank; none: every entry on its own.
    """

    noise: Literal["normal", "rademacher", "table"] = "normal"
    rank: Annotated[int, Field(ge=1)] | None = None

    def __post_init__(self) -> None:
        if self.noise != "normal" and self.rank:
            raise ValueError(f"rank draws normal factors, so noise cannot be {self.noise}; leave one out")


class RuleProposal(TypedDict):
    """The members mean + scale * z of a generation, as what regenerates their noise z.

    Attributes:
        scale: one number, or one per parameter.
        kept: what the noise needs besides, made once in every process.
    """

    mean: Float[Array | np.ndarray, " param"]
    scale: Float[Array | np.ndarray, "*param"]
    generation: rng.AddressPart
    seed: rng.AddressPart
    kept: Kept


class Rule(Strategy):
    """A strategy of members mean + scale * z, with noise z of zero mean and unit variance, and an update by sums of z and z².

    A subclass says `scale`, `weights` and `update`. States are dictionaries with the mean under "mean".

    Attributes:
        default_shaping: what the rule sees instead of raw losses unless settings say otherwise.
        rank_weights: what `shaping: weights` gives members by rank, best first; None where the rule has none.
        optimizer: of the mean, for a run of this length.
        std: the step size at a generation.
    """

    Settings = RuleSettings
    default_shaping: ClassVar[str] = "centred_rank"
    rank_weights: Float[Array, " member"] | None = None
    parts: Parts

    def __init__(self, settings: RuleSettings, space: SearchSpace) -> None:
        super().__init__(settings, space)
        self.optimizer: optax.GradientTransformation = settings.optimizer.build(space.generations)
        self.std = space.scheduled(settings.std)
        self._bind(settings, space)

    @abstractmethod
    def scale(self, state: State, generation: rng.AddressPart) -> Float[Array, "*entries"]:
        """What multiplies the noise: one number, or one per parameter; traceable."""

    @abstractmethod
    def weights(self, losses: Losses) -> RowWeights:
        """What multiplies every row of noise in the sums; traceable, computed again for every part."""

    @abstractmethod
    def update(self, state: State, generation: rng.AddressPart, losses: Losses, sums: Sums) -> State:
        """The state after the generation, from the shaped losses and the sums; traceable."""

    def selected(self, losses: Losses) -> Losses:
        """Shaped losses as `weights` reads them. What takes long, such as sorting, belongs here: it is done once."""
        return losses

    def init(self, key: Key[Array, ""], centre: Entries) -> State:
        return {"mean": centre, "optimizer": self.optimizer.init(centre)}

    def step(self, state: State, gradient: Entries) -> dict[str, State]:
        """The mean and its optimizer after one step against a gradient."""
        change, optimizer = self.optimizer.update(gradient, state["optimizer"], state["mean"])
        return {"mean": optax.apply_updates(state["mean"], change), "optimizer": optimizer}

    def sharing(self, other: Strategy) -> Strategy:
        """See `Strategy.sharing`: what draws members and adds them up takes seed, step size and learning rate from the proposal.

        The update itself has the latter two compiled in.
        """
        if not isinstance(other, Rule):
            return self
        shared = copy(self)
        shared._shape, shared.parts = other._shape, other.parts
        if (self.options, self.space) == (other.options, replace(other.space, seed=self.seed)):
            shared._propose, shared._update = other._propose, other._update
        return shared

    def ask(self, state: State, generation: int) -> Ask:
        with relaxed():
            return Ask(generation, state, self._propose(state, np.uint32(generation), np.uint32(self.seed), self._kept))

    def message(self, ask: Ask) -> list[np.ndarray]:
        return [np.asarray(ask.proposal["mean"]), np.asarray(ask.proposal["scale"])]

    def receive(self, message: list[np.ndarray], generation: int) -> RuleProposal:
        mean, scale = message
        return RuleProposal(
            mean=mean, scale=scale, generation=np.uint32(generation), seed=np.uint32(self.seed), kept=self._kept
        )

    def row(self, proposal: RuleProposal, index: Int[Array, ""]) -> RowNoise:
        if self.factored:
            return self._low_rank.factors(_key(proposal), index)
        noise = self.noise.block(proposal["kept"], _key(proposal), index[None], 0, self.parameters)[0]
        return jnp.broadcast_to(proposal["scale"], noise.shape) * noise

    def member(self, proposal: RuleProposal, row: RowNoise, sign: Float[Array, ""]) -> Member:
        if self.factored:
            return self._low_rank.perturbed(proposal["mean"], row, sign * proposal["scale"])
        return proposal["mean"] + sign * row

    def tell(self, ask: Ask, losses: OnHost, parts_of: PartsOf | None = None) -> State:
        with relaxed():
            shaped, selected = self._shape(losses)
            parts = parts_of(self.parts, ask, selected) if parts_of else self.parts.here(ask.proposal, selected)
            sums = self.parts.joined(parts)[:, : self.parameters]
            return self._update(ask.state, np.uint32(ask.generation), shaped, sums)

    def centre(self, state: State) -> Entries:
        return jnp.asarray(state["mean"])

    def proposal_shape(self) -> Proposal:
        key, centre = jax.random.key(0), jax.ShapeDtypeStruct((self.parameters,), np.float32)
        with relaxed():
            state = jax.eval_shape(self.init, key, centre)
            return jax.eval_shape(self._proposal, state, np.uint32(0), np.uint32(0), self._kept)

    def describe(self) -> dict[str, str]:
        draws = self.rows * self.parameters * self.noise.draws_per_entry
        how = ", matrices shared by members side by side" if self.factored else ""
        return {
            "population matrix": "none: noise is drawn again for members and for the update",
            "noise": f"{self.noise.title}, {draws:,.0f} random numbers for members, as many for the update{how}",
            "update": explained(self.parts),
        }

    def _bind(self, settings: RuleSettings, space: SearchSpace) -> None:
        """Make the noise and compile, when first used, what is the same in all generations."""
        rank, size = settings.rank, self.parameters
        self.noise: Noise = LowRank(size, space.shapes, rank) if rank else NOISES[settings.noise](size)
        self._kept = self.noise.prepare(self.seed)
        self._shape = self._shaping(self.default_shaping if settings.shaping == "default" else settings.shaping)
        self._propose, self._update = jit(self._proposal), jit(self.update)
        self._division = divided(self.rows, size, whole_rows=bool(rank))
        with relaxed():
            weights = jax.eval_shape(self.weights, jax.ShapeDtypeStruct((self.population,), np.float32))
        self.parts = Parts(
            down=self._division.down,
            across=self._division.across,
            shape=(1 if weights.squares is None else 2, self._division.width),
            compute=jit(self._part),
            entries=self.rows * size * max(self.noise.draws_per_entry, CHEAPEST),
        )
        # A product of thin matrices stays one only under a step size common to all entries.
        scale = self.proposal_shape()["scale"]
        self.factored = space.side_by_side and bool(rank) and scale.ndim == 0

    @property
    def _low_rank(self) -> LowRank:
        assert isinstance(self.noise, LowRank)
        return self.noise

    def _proposal(self, state: State, generation: rng.AddressPart, seed: rng.AddressPart, kept: Kept) -> RuleProposal:
        scale = self.scale(state, generation)
        return RuleProposal(mean=state["mean"], scale=scale, generation=generation, seed=seed, kept=kept)

    def _part(self, proposal: RuleProposal, selected: Losses, index: Int[Array, ""]) -> Float[Array, "sum width"]:
        down, across, height, width = self._division
        with relaxed():
            weights = self.weights(selected)
        if down == 1:
            return self._sums(proposal, weights, 0, index * width)
        row, column = index // across * height, index % across * width
        padded = jax.tree.map(lambda entries: jnp.pad(entries, (0, down * height - self.rows)), weights)
        of_block = jax.tree.map(lambda entries: jax.lax.dynamic_slice(entries, (row,), (height,)), padded)
        return self._sums(proposal, of_block, row, column)

    def _sums(
        self, proposal: RuleProposal, weights: RowWeights, row: Index, column: Index
    ) -> Float[Array, "sum width"]:
        return self.noise.sums(proposal["kept"], _key(proposal), weights, row, column, self._division.width)

    def _shaping(self, name: str) -> Callable[[OnHost], tuple[OnHost, OnHost]]:
        """From raw losses to shaped ones and the selected ones among them."""
        if name == "weights" and self.rank_weights is None:
            raise no_weights(self.options.kind)
        function, ranked = by_name(name), name == "centred_rank"

        def shape(losses: Losses) -> tuple[Losses, Losses]:
            shaped = centred(losses) if ranked else function(losses, self.rank_weights)
            return shaped, self.selected(shaped)

        compiled = jit(shape)

        def on_host(losses: OnHost) -> tuple[OnHost, OnHost]:
            shaped, selected = compiled(ranks(losses) if ranked else losses)
            return np.asarray(shaped), np.asarray(selected)

        return on_host


def _key(proposal: RuleProposal) -> Key[Array, ""]:
    return rng.address(proposal["seed"], rng.Purpose.NOISE, proposal["generation"])


def antithetic_pairs(losses: Losses) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
    """Losses of mean + scale * z and of mean - scale * z, for every row of noise z."""
    half = len(losses) // 2
    return losses[:half], losses[half:]
