"""Find a treasure hidden in a grid, then go straight to it (arXiv:2408.10818, section 3.4).

An instance is the cell of the treasure, any free cell but the start. An episode begins at the start; every step moves to a
neighbouring cell (into a wall: stays), and it ends when the treasure is found or after `steps`. The treasure is the same
in all episodes, the position is reset between them. The policy sees its seed as the first token and then one token per
step: where it is, the reward and the time; it acts by the largest of four outputs. The loss is the total number of steps.

A bundle is all treasures: until one is found the path depends on the seed alone, so the first episode is one rollout per
seed, and every treasure continues from what the policy remembers of it up to the step at which it was found.
"""

import functools
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from pydantic import Field

from es_randomized import rng
from es_randomized.policy import Interface, Memory, Policy
from es_randomized.references import treasure_hunt as exact
from es_randomized.references.grid import MOVES, Grid, Position
from es_randomized.settings import settings
from es_randomized.tasks.measure import Bounds, Measure
from es_randomized.tasks.task import Outcome, Reference, Task

EMPTY, FOUND = -0.1, 1.0  # rewards as the paper's tokens show them
FREQUENCIES = 4  # of the sinusoids that tell the time
LARGEST_SOLVED = 25  # free cells with the start: 5 s

RowColumn = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


class FirstEpisode(NamedTuple):
    """The first episode of every seed, as if there were no treasure.

    Attributes:
        cells: where the agent is after 0, 1, ... steps.
        tokens: what it saw after 0, 1, ... steps.
        memory: after its last token but one.
        traces: of the memory after every token.
        log_chance: log-probability of each action, when actions are sampled.
    """

    cells: Int[Array, "time case"]
    memory: Memory
    traces: Any
    log_chance: Float[Array, "step case"]


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
    """

    rows: Annotated[int, Field(ge=1)] = 5
    columns: Annotated[int, Field(ge=1)] = 5
    start: RowColumn = Field(default_factory=lambda: [0, 0])
    obstacles: list[RowColumn] = Field(default_factory=list)
    steps: Annotated[int, Field(ge=1)] = 25
    episodes: Annotated[int, Field(ge=1)] = 2
    noise_width: Annotated[int, Field(ge=1)] = 8
    noise_on: Literal["first", "every"] = "first"

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

    @property
    def interface(self) -> Interface:
        features = self.noise_width + self.rows + self.columns + 1 + 2 * FREQUENCIES
        horizon = self.steps * self.episodes
        return Interface(features, len(MOVES), horizon=horizon, seed_features=range(self.noise_width))

    @property
    def bundle(self) -> int:
        return len(self.treasures)

    @property
    def tokens(self) -> int:
        return self.steps * (1 + (self.episodes - 1) * self.bundle)

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

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "treasure {count}"]:
        """There is one bundle, all treasures, so nothing is random here."""
        return jnp.repeat(jnp.asarray(self.treasures)[:, None], count, axis=1)

    def enumerate(self) -> Int[np.ndarray, "treasure 1"]:
        return self.treasures[:, None]

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise {count}"]:
        return jax.random.normal(key, (self.noise_width, count))

    def observe(self, bundles: Int[Array, "treasure case"], seeds: Float[Array, "noise case"]) -> Any:
        """The treasures and the seeds; everything else depends on what the policy does."""
        return bundles, seeds

    def rollout(self, policy: Policy, observations: Any) -> Outcome:
        """Loss: steps over all episodes; success: found in every episode; answer: a hash of the first episode's path."""
        return self._hunt(policy, observations, None)[0]

    def sampled_rollout(
        self, policy: Policy, observations: Any, key: Key[Array, ""]
    ) -> tuple[Outcome, Float[Array, "variant case"]]:
        """The same with actions sampled from the outputs' softmax, and the log-probability of all that were taken."""
        return self._hunt(policy, observations, key)

    def first_episode(
        self, policy: Policy, seeds: Float[Array, "noise case"], key: Key[Array, ""] | None = None
    ) -> FirstEpisode:
        """Explore for one episode without ever finding anything."""
        cases, shown = seeds.shape[-1], self._shown(seeds)

        def step(carry: Any, now: Any) -> Any:
            (cell, token, memory), (time, key) = carry, now
            outputs, memory = policy.step(memory, token, time)
            action, log_chance = _act(outputs, key)
            cell = jnp.asarray(self.grid.neighbours)[cell, action]
            token = self._token(cell, jnp.full(cases, EMPTY), jnp.broadcast_to(time + 1, cases), shown)
            return (cell, token, memory), (cell, log_chance, policy.trace(memory))

        start = jnp.full(cases, self.grid.first, jnp.int32)
        first = (start, self._seed_token(seeds), policy.empty(cases))
        times = jnp.arange(self.steps)
        (_, _, memory), (cells, log_chance, traces) = jax.lax.scan(step, first, (times, _keys(key, times)))
        return FirstEpisode(jnp.concatenate([start[None], cells]), memory, traces, log_chance)

    def _hunt(self, policy: Policy, observations: Any, key: Key[Array, ""] | None) -> Any:
        treasures, seeds = observations
        first = self.first_episode(policy, seeds, key)
        visits = first.cells[1:, None] == treasures[None]
        found = jnp.any(visits, axis=0)
        steps = jnp.where(found, jnp.argmax(visits, axis=0) + 1, self.steps)
        within = jnp.arange(self.steps)[:, None, None] < steps[None]
        log_chance = jnp.sum(jnp.where(within, first.log_chance[:, None], 0.0), axis=0)
        hunters = self._hunters(policy, first, seeds, treasures.reshape(-1), found.reshape(-1), steps.reshape(-1))
        for episode in range(1, self.episodes):
            hunters = self._episode(policy, hunters, episode, key)
        shape = treasures.shape
        path = _mixed_path(first.cells)
        outcome = Outcome(
            hunters.steps.reshape(shape).astype(jnp.float32),
            hunters.success.reshape(shape),
            jnp.broadcast_to(path, shape),
        )
        return outcome, log_chance + hunters.log_chance.reshape(shape)

    def _hunters(
        self, policy: Policy, first: FirstEpisode, seeds: Any, treasure: Any, found: Any, steps: Any
    ) -> "Hunters":
        """One agent per treasure and seed, with its memory as it was when its first episode ended."""
        parents = jnp.tile(jnp.arange(first.cells.shape[1]), self.bundle)
        memory = policy.branch(first.memory, first.traces, steps, parents)
        last = jnp.where(found, treasure, first.cells[-1, parents])
        token = self._token(last, jnp.where(found, FOUND, EMPTY), steps, self._shown(seeds)[:, parents])
        return Hunters(treasure, token, memory, steps, found, jnp.zeros(treasure.shape))

    def _episode(self, policy: Policy, hunters: "Hunters", episode: int, key: Key[Array, ""] | None) -> "Hunters":
        """One more episode for all agents at once, until the last of them is done."""
        treasure, cases = hunters.treasure, hunters.treasure.shape[0]
        offset = episode * self.steps

        def step(time: Int[Array, ""], key: Any, state: Any) -> Any:
            cell, active, now = state
            outputs, memory = policy.step(now.memory, now.token, offset + time, active)
            action, log_chance = _act(outputs, key)
            cell = jnp.asarray(self.grid.neighbours)[cell, action]
            found = cell == treasure
            steps = now.steps + active.astype(jnp.int32)
            token = self._token(cell, jnp.where(found, FOUND, EMPTY), steps, now.token[: self.noise_width])
            token = jnp.where(active[None], token, now.token)
            chance = now.log_chance + jnp.where(active, log_chance, 0.0)
            return cell, active & ~found, Hunters(treasure, token, memory, steps, now.success, chance)

        start = jnp.full(cases, self.grid.first, jnp.int32)
        state = (start, jnp.ones(cases, bool), hunters)
        _, lost, hunters = _repeat(step, state, self.steps, _keys(key, offset + jnp.arange(self.steps)))
        return hunters._replace(success=hunters.success & ~lost)

    def _shown(self, seeds: Float[Array, "noise case"]) -> Float[Array, "noise case"]:
        """What later tokens show of the seed."""
        return seeds if self.noise_on == "every" else jnp.zeros_like(seeds)

    def _token(
        self,
        cell: Int[Array, " case"],
        reward: Float[Array, " case"],
        time: Int[Array, " case"],
        noise: Float[Array, "noise case"],
    ) -> Float[Array, "feature case"]:
        row = jax.nn.one_hot(cell // self.columns, self.rows, axis=0)
        column = jax.nn.one_hot(cell % self.columns, self.columns, axis=0)
        return jnp.concatenate([noise, row, column, reward[None], jnp.asarray(self._clock)[:, time]])

    def _seed_token(self, seeds: Float[Array, "noise case"]) -> Float[Array, "feature case"]:
        cases = seeds.shape[-1]
        nowhere = jnp.zeros((self.rows + self.columns + 1, cases))
        clock = jnp.repeat(jnp.asarray(self._clock)[:, :1], cases, axis=1)
        return jnp.concatenate([seeds, nowhere, clock])

    @cached_property
    def _clock(self) -> Float[np.ndarray, "sinusoid time"]:
        """Sines and cosines of the time, whose periods double from 4 steps on."""
        time = np.arange(self.steps * self.episodes + 1)
        angle = 2 * np.pi * time / 2.0 ** np.arange(2, 2 + FREQUENCIES)[:, None]
        return np.concatenate([np.sin(angle), np.cos(angle)]).astype(np.float32)

    def references(self) -> list[Reference]:
        """The exact optima for one or two episodes on at most 25 cells, and the paper's figures, in total steps."""
        rows = _optima(self._hunt_game) if self.episodes <= 2 and len(self.treasures) < LARGEST_SOLVED else []
        if (self.rows, self.columns, self.steps, self.episodes) == (5, 5, 25, 2) and not self.obstacles:
            rows.append(Reference("paper, randomized, worst of m = 10 (PGPE)", 20.0, 27.5, None, "paper"))
            rows.append(Reference("paper, expected loss, one fixed seed", 18.0, 39.0, None, "paper"))
        return rows

    @property
    def _hunt_game(self) -> exact.Hunt:
        grid = self.grid
        return exact.Hunt(self.rows, self.columns, self.steps, self.episodes, grid.start, frozenset(grid.obstacles))


class Hunters(NamedTuple):
    """Agents that know, or do not know yet, where the treasure is.

    Attributes:
        treasure: its cell.
        token: the last thing they saw.
        memory: without that token.
        steps: so far, over all episodes.
        success: whether every episode so far found the treasure.
        log_chance: of the actions sampled after the first episode.
    """

    treasure: Int[Array, " hunter"]
    token: Float[Array, "feature hunter"]
    memory: Memory
    steps: Int[Array, " hunter"]
    success: Bool[Array, " hunter"]
    log_chance: Float[Array, " hunter"]


def _position(cell: list[int]) -> Position:
    return cell[0], cell[1]


@functools.cache
def _optima_of(game: exact.Hunt) -> tuple[Reference, ...]:
    solution = exact.randomized(game)
    losses = np.stack([exact.losses(game, walk) for walk in solution.walks])
    mixed = solution.mixture @ losses
    best = float(exact.best_average(game))
    deterministic = float(exact.best_worst_case(game))
    return (
        Reference("exact minimax (a mixture of walks)", float(mixed.mean()), None, solution.upper, "exact"),
        Reference("best deterministic worst case", None, None, deterministic, "exact"),
        Reference("best possible average", best, None, None, "exact"),
    )


def _optima(game: exact.Hunt) -> list[Reference]:
    """Exact optima of the game; 5 s for 25 cells, once per process."""
    return list(_optima_of(game))


def _keys(key: Key[Array, ""] | None, times: Int[Array, " time"]) -> Key[Array, " time"] | None:
    """A key for each of these times, if there is one at all."""
    return None if key is None else jax.vmap(functools.partial(rng.inside, key))(times)


def _act(outputs: Float[Array, "move case"], key: Any) -> tuple[Int[Array, " case"], Float[Array, " case"]]:
    """The largest output, or a sample of their softmax if there is a key, and the action's log-probability."""
    if key is None:
        return jnp.argmax(outputs, axis=0), jnp.zeros(outputs.shape[1])
    noise = jax.random.gumbel(key, outputs.shape)
    action = jnp.argmax(outputs + noise, axis=0)
    return action, jnp.take_along_axis(jax.nn.log_softmax(outputs, axis=0), action[None], axis=0)[0]


def _repeat(step: Any, state: Any, times: int, keys: Key[Array, " time"] | None) -> Any:
    """Apply step(time, key, state) `times` times, where a gradient is wanted, or without keys until nobody is active."""
    if keys is not None:
        return jax.lax.scan(lambda s, now: (step(*now, s), None), state, (jnp.arange(times), keys))[0]
    carry = (jnp.int32(0), state)
    going = jax.lax.while_loop(
        lambda c: (c[0] < times) & jnp.any(c[1][1]), lambda c: (c[0] + 1, step(c[0], None, c[1])), carry
    )
    return going[1]


def _mixed_path(cells: Int[Array, "time case"]) -> Int[Array, " case"]:
    """A 31-bit hash of a path."""
    hashed = jnp.zeros(cells.shape[1], jnp.uint32)
    for cell in cells:
        hashed = (hashed ^ cell.astype(jnp.uint32)) * jnp.uint32(16777619)
    return (hashed >> 1).astype(jnp.int32)
