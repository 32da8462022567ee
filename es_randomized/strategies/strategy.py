"""What a strategy is: a search distribution over flat parameters. Losses in, weights out; it knows no task."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import TypeAdapter

from es_randomized.errors import ConfigError
from es_randomized.perturbed import Perturbed
from es_randomized.schedules import Schedule, build
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.optimizers import with_fresh_schedules

State = Any  # a pytree of arrays: all a generation needs of the past
Proposal = Any  # a pytree of arrays: the members of a generation, or what regenerates them
RowNoise = Any  # a pytree of arrays: what the members of one row of noise share


# Flat weights, or their leaves in flat order, of which matrices may be `Perturbed`.
Member = Float[Array, " param"] | list[Perturbed | Array]


class Ask(NamedTuple):
    """The members of one generation, or what regenerates them.

    Attributes:
        generation: its number, 0, 1, ...
        state: the strategy's state before the generation; with the number it determines everything else.
        proposal: what `members` and `tell` read, a pytree of arrays.
    """

    generation: int
    state: State
    proposal: Proposal


@dataclass(frozen=True)
class Parts:
    """The parts of an update: each can be computed alone, here or by a worker.

    Attributes:
        down: blocks of rows.
        across: blocks of columns; part number row * across + column reads the noise of one block of rows and columns.
        shape: of every part, [sum, column].
        compute: jitted (proposal, losses as parts read them, index) -> one part.
        entries: how many entries of noise they read together, weighted by the cost of drawing one.
    """

    down: int
    across: int
    shape: tuple[int, int]
    compute: Callable[[Proposal, Float[np.ndarray, " member"], np.int32], Float[Array, "sum column"]]
    entries: float

    @property
    def count(self) -> int:
        """How many parts."""
        return self.down * self.across

    @property
    def bytes(self) -> int:
        """Of all parts together."""
        return 4 * self.count * self.shape[0] * self.shape[1]

    def here(self, proposal: Proposal, shaped: Float[np.ndarray, " member"]) -> list[np.ndarray]:
        """All parts in order, computed in this process one after the other."""
        return [np.asarray(self.compute(proposal, shaped, np.int32(index))) for index in range(self.count)]

    def joined(self, parts: Sequence[Float[np.ndarray, "sum column"]]) -> Float[np.ndarray, "sum param"]:
        """The sums over all rows: blocks of columns side by side, blocks of rows added from the first to the last.

        Args:
            parts: all, in order. Columns past the last parameter stay.
        """
        rows = (parts[first : first + self.across] for first in range(0, self.count, self.across))
        return reduce(np.add, (np.concatenate(row, axis=1) for row in rows))


# Computes all parts of an ask's update for shaped losses, here or elsewhere, in order.
PartsOf = Callable[[Parts, Ask, Float[np.ndarray, " member"]], list[np.ndarray]]


@dataclass(frozen=True)
class SearchSpace:
    """What a strategy searches, and for how long.

    Attributes:
        shapes: of the weights, in their flat order.
        seed: of the run: all noise comes from it.
        generations: that schedules span, of the run or of a phase.
        side_by_side: members are evaluated several at a time, so low-rank ones can share their matrix products.
        first: of those generations.
    """

    shapes: tuple[tuple[int, ...], ...]
    seed: int
    generations: int
    side_by_side: bool = False
    first: int = 0

    def scheduled(self, rate: float | Schedule) -> Callable[[Any], Any]:
        """The values of a rate: generation in, value out."""
        return build(rate, self.generations, self.first)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(map(math.prod, self.shapes))


class Strategy(ABC):
    """A search distribution, bound to its settings and to what it searches.

    Attributes:
        Settings: its section `driver:` of an experiment, derived from `EvolutionSettings`.
        scheduled: its step size may follow a schedule. Others adapt it, from a start, or do without.
        takes_optimizer: the optimizer of its settings moves its centre. Others move it themselves.
        holds_matrix: a generation's population, or half of it, is a matrix [row, param] in every process.
        quadratic: its memory grows with the square of the number of parameters.
        antithetic: members come as pairs, mean + scale * noise and mean - scale * noise of one row of noise: row r makes the
            members r and r + rows. Otherwise row r makes member r.
        split_batch: also wants the losses on both halves of every batch: `tell` gets three views of it.
        parts: of its update; None where that is computed in one place.
        population: members per generation.
        parameters: number of weights.
        seed: of the run.

    Raises:
        ConfigError: the settings do not fit the strategy.
    """

    Settings: ClassVar[type[EvolutionSettings]] = EvolutionSettings
    scheduled: ClassVar[bool] = True
    takes_optimizer: ClassVar[bool] = True
    holds_matrix: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False
    antithetic: ClassVar[bool] = False
    split_batch: bool = False
    parts: Parts | None = None

    def __init__(self, settings: EvolutionSettings, space: SearchSpace) -> None:
        self.check(settings)
        self.options, self.space = settings, space
        self.population, self.parameters, self.seed = settings.population, space.parameters, space.seed

    @classmethod
    def read_settings(cls, section: Mapping[str, object]) -> EvolutionSettings:
        """The settings in a section `driver:`; keys of before are renamed.

        Raises:
            ConfigError: they do not fit the strategy.
            pydantic.ValidationError: a key is unknown or a value does not fit.
        """
        from es_randomized.strategies.options import current

        settings = TypeAdapter(cls.Settings).validate_python(current(cls, section))
        cls.check(settings)
        return settings

    @classmethod
    def check(cls, settings: EvolutionSettings) -> None:
        """Refuse settings that this strategy cannot follow.

        Raises:
            ConfigError: they are another strategy's, an antithetic population is odd, or an adapted step size has a schedule.
        """
        kind, population = settings.kind, settings.population
        if not isinstance(settings, cls.Settings):
            wanted = cls.Settings.__qualname__
            raise ConfigError(f"driver: {cls.__name__} takes {wanted}, not {type(settings).__qualname__}")
        if cls.antithetic and population % 2:
            raise ConfigError(
                f"driver.population: {kind} has antithetic pairs, so it must be even, but it is {population}; "
                f"use {population + 1}"
            )
        if isinstance(settings.std, Schedule) and not cls.scheduled:
            raise ConfigError(
                f"driver.std: {kind} adapts its step size itself; give one number, its start, no schedule"
            )

    @classmethod
    def needs(cls) -> list[str]:
        """What it wants of an experiment or a machine, for people."""
        wants = {
            "even population": cls.antithetic,
            "driver.optimizer": cls.takes_optimizer,
            "memory ~ parameters²": cls.quadratic,
        }
        return [text for text, wanted in wants.items() if wanted]

    @property
    def members_per_row(self) -> int:
        """Members made of one row of noise."""
        return 2 if self.antithetic else 1

    @property
    def rows(self) -> int:
        """Rows of noise in a population."""
        return self.population // self.members_per_row

    @property
    def antithetic_signs(self) -> Float[np.ndarray, " antithetic"]:
        """What multiplies the noise of a row for each of its members: +1 and, for antithetic pairs, -1."""
        return np.array([1.0, -1.0][: self.members_per_row], np.float32)

    @abstractmethod
    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        """The state before the first generation, centred on `centre`."""

    def carry(self, state: State, fresh: State) -> State:
        """The state before the first generation of a phase, from the state at the end of the phase before it.

        Args:
            state: of a strategy of this class; it has the structure of `fresh`.
            fresh: what `init` returns for its centre. Schedules of the optimizer begin anew.
        """
        return with_fresh_schedules(state, fresh)

    @abstractmethod
    def ask(self, state: State, generation: int) -> Ask:
        """The members of `generation`; the same bits in every process of one device type."""

    @abstractmethod
    def message(self, ask: Ask) -> list[np.ndarray]:
        """What another process needs to make the same proposal."""

    @abstractmethod
    def receive(self, message: list[np.ndarray], generation: int) -> Proposal:
        """The proposal of an ask, from its message."""

    @abstractmethod
    def row(self, proposal: Proposal, index: Int[Array, ""]) -> RowNoise:
        """What the members of one row of noise share, drawn once for all of them; traceable."""

    @abstractmethod
    def member(self, proposal: Proposal, row: RowNoise, sign: Float[Array, ""]) -> Member:
        """Weights of the member of a row with this antithetic sign; traceable."""

    def members(self, proposal: Proposal, rows: Int[Array, " row"]) -> Float[Array, "row antithetic param"]:
        """Weights of the members of some rows of noise; traceable."""

        def of_row(index: Int[Array, ""]) -> Float[Array, "antithetic param"]:
            row = self.row(proposal, index)
            return jax.vmap(lambda sign: flat(self.member(proposal, row, sign)))(self.antithetic_signs)

        return jax.vmap(of_row)(rows)

    def everyone(self, proposal: Proposal) -> Float[Array, "member param"]:
        """Weights of the whole population, in id order: for small ones."""
        members = self.members(proposal, jnp.arange(self.rows))
        return jnp.swapaxes(members, 0, 1).reshape(self.population, self.parameters)

    @abstractmethod
    def tell(self, ask: Ask, losses: Float[np.ndarray, "*view member"], parts_of: PartsOf | None = None) -> State:
        """The state after the generation, given one finite loss per member in id order.

        Args:
            losses: with `split_batch`, rows for the whole batch, its first half and its second half.
            parts_of: where to compute the parts of the update; here by default.
        """

    def sharing(self, other: "Strategy") -> "Strategy":
        """This strategy with compiled programs of `other`, which differs in seed, step size and learning rate alone.

        By default it shares none.
        """
        return self

    @abstractmethod
    def centre(self, state: State) -> Float[Array, " param"]:
        """The weights this strategy would answer with now."""

    @abstractmethod
    def proposal_shape(self) -> Proposal:
        """Shapes and types of `Ask.proposal`, without computing it."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Where noise and updates are computed and what they cost, for people."""


def flat(member: Member) -> Float[Array, " param"]:
    """A member's weights as one vector."""
    if not isinstance(member, list):
        return member
    return jnp.concatenate([(leaf.dense() if isinstance(leaf, Perturbed) else leaf).reshape(-1) for leaf in member])


def bytes_of(shapes: Proposal) -> int:
    """Bytes of arrays of these shapes and types."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
