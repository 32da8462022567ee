"""Find a treasure hidden in a grid, then go straight to it (arXiv:2408.10818, section 3.4).

An instance is the cell of the treasure, any free cell but the start. An episode begins at the start; every step moves to a
neighbouring cell (into a wall: stays), and it ends when the treasure is found or after `steps`. The treasure is the same
in all episodes, the position is reset between them. The policy sees its seed as the first token and then one token per
step: where it is, the reward and the time; it acts by the largest of four outputs. The loss is the total number of steps.

A bundle is all treasures: until one is found the path depends on the seed alone, so the first episode is one rollout per
seed, and every treasure continues from what the policy remembers of it up to the step at which it was found.
"""

from functools import cached_property
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized.input_kinds import InputKinds, kind_by_place
from es_randomized.policy import Interface, Policy
from es_randomized.references.grid import MOVES, Grid, Position
from es_randomized.settings import settings
from es_randomized.tasks.decisions import Decisions
from es_randomized.tasks.hunt_references import references_of
from es_randomized.tasks.hunt_rollout import FirstEpisode, HuntRollout
from es_randomized.tasks.hunt_thinning import HuntCases, choose
from es_randomized.tasks.hunt_tokens import HuntTokens
from es_randomized.tasks.measure import Bounds, Measure
from es_randomized.tasks.task import Outcome, Reference, Task

RowColumn = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


@settings
class TreasureHunt(Task):
    """A treasure hunt on a grid.

    Attributes:
        rows, columns: of the grid.
        start: row and column of the start.
        obstacles: cells that cannot be entered.
        steps: of an episode at most.
        episodes: how often the same treasure is hunted.
        noise_width: standard normal numbers per seed.
        noise_on: the tokens that show the seed: only the first, as in the paper, or every one.
        hunters: while training, later episodes of only so many random treasures per seed; none: of all of them. The losses
            are estimates without bias, and many seeds cost as little as a few.
    """

    rows: Annotated[int, Field(ge=1)] = 5
    columns: Annotated[int, Field(ge=1)] = 5
    start: RowColumn = Field(default_factory=lambda: [0, 0])
    obstacles: list[RowColumn] = Field(default_factory=list)
    steps: Annotated[int, Field(ge=1)] = 25
    episodes: Annotated[int, Field(ge=1)] = 2
    noise_width: Annotated[int, Field(ge=1)] = 8
    noise_on: Literal["first", "every"] = "first"
    hunters: Annotated[int, Field(ge=1)] | None = None

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, cells in (("start", [self.start]), ("obstacles", self.obstacles)):
            for row, column in cells:
                if row >= self.rows or column >= self.columns:
                    raise ValueError(f"{name} {[row, column]} lies outside the {self.rows} x {self.columns} grid")
        if self.start in self.obstacles:
            raise ValueError(f"start {self.start} is an obstacle")
        unreachable = np.isinf(self.grid.distances[self.treasures])
        if unreachable.any() or not len(self.treasures):
            raise ValueError(
                f"{int(unreachable.sum())} of {len(self.treasures)} possible treasures cannot be reached from the start; "
                "use a larger grid or move the obstacles"
            )
        if self.hunters and self.hunters > self.bundle:
            raise ValueError(
                f"hunters is {self.hunters}, but there are {self.bundle} possible treasures; leave it out for all"
            )

    @property
    def interface(self) -> Interface:
        horizon = self.steps * self.episodes
        return Interface(self._tokens.features, len(MOVES), horizon=horizon, seed_features=range(self.noise_width))

    @property
    def bundle(self) -> int:
        return len(self.treasures)

    @property
    def tokens(self) -> int:
        return self.steps * (1 + (self.episodes - 1) * (self.hunters or self.bundle))

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(0.0, float(self.steps * self.episodes))

    @property
    def measure(self) -> Measure:
        return Measure("loss", "total steps", self.loss_bounds)

    @cached_property
    def grid(self) -> Grid:
        """Where the hunt takes place."""
        return Grid(self.rows, self.columns, _position(self.start), tuple(_position(cell) for cell in self.obstacles))

    @property
    def treasures(self) -> Int[np.ndarray, " treasure"]:
        """Cells that may hold the treasure."""
        return self.grid.others

    @property
    def kinds(self) -> InputKinds:
        """The cell of the treasure, with its offset from the centre of the grid; a seed is its numbers."""
        row, column = np.divmod(self.treasures, self.columns)
        offsets = np.stack([row - (self.rows - 1) / 2, column - (self.columns - 1) / 2]).astype(np.float32)
        return InputKinds(self.bundle, kind_by_place(self.bundle), lambda seeds: seeds, offsets)

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "treasure {count}"]:
        """There is one bundle, all treasures, so nothing is random here."""
        return jnp.repeat(jnp.asarray(self.treasures)[:, None], count, axis=1)

    def enumerate(self) -> Int[np.ndarray, "treasure 1"]:
        return self.treasures[:, None]

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise {count}"]:
        return jax.random.normal(key, (self.noise_width, count))

    def observe(self, bundles: Int[Array, "treasure case"], seeds: Float[Array, "noise case"]) -> HuntCases:
        """The treasures and the seeds; everything else depends on what the policy does."""
        return HuntCases(bundles, seeds)

    def thin(self, observations: HuntCases, key: Key[Array, ""]) -> HuntCases:
        """With `hunters`, the later episodes of so many random treasures of every case."""
        if self.hunters is None:
            return observations
        cases = observations.seeds.shape[-1]
        return observations._replace(chosen=choose(key, self.bundle, self.hunters, cases))

    def rollout(self, policy: Policy, observations: HuntCases) -> Outcome:
        """Loss: steps over all episodes; success: found in every episode; answer: a hash of the first episode's path."""
        return self._hunt.play(policy, observations)[0]

    def sampled_rollout(
        self, policy: Policy, observations: HuntCases, key: Key[Array, ""]
    ) -> tuple[Outcome, Decisions]:
        """The same with actions sampled from the outputs' softmax, and all decisions: `episodes` times `steps` a case."""
        outcome, decisions = self._hunt.play(policy, observations, key)
        assert decisions is not None
        return outcome, decisions

    def first_episode(
        self, policy: Policy, seeds: Float[Array, "noise case"], key: Key[Array, ""] | None = None
    ) -> FirstEpisode:
        """Explore for one episode without ever finding anything."""
        return self._hunt.first_episode(policy, seeds, key)

    @cached_property
    def _tokens(self) -> HuntTokens:
        return HuntTokens(
            self.rows, self.columns, self.noise_width, self.noise_on == "every", self.steps * self.episodes
        )

    @cached_property
    def _hunt(self) -> HuntRollout:
        return HuntRollout(self.grid, self._tokens, self.steps, self.episodes)

    def references(self) -> list[Reference]:
        """The exact optima for one or two episodes on at most 25 cells, and the paper's figures, in total steps."""
        return references_of(self.grid, self.steps, self.episodes)


def _position(cell: list[int]) -> Position:
    return cell[0], cell[1]
