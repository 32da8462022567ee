"""Play a treasure hunt: the first episode once per seed, as if there were no treasure, the later ones once per treasure."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from es_randomized import rng
from es_randomized.policy import Memory, Policy
from es_randomized.references.grid import Grid
from es_randomized.tasks.hunt_tokens import EMPTY, FOUND, HuntTokens
from es_randomized.tasks.task import Outcome


class FirstEpisode(NamedTuple):
    """The first episode of every seed, as if there were no treasure.

    Attributes:
        cells: where the agent is after 0, 1, ... steps.
        memory: after its last token but one.
        traces: of the memory after every token.
        log_chance: log-probability of each action, when actions are sampled.
    """

    cells: Int[Array, "time case"]
    memory: Memory
    traces: Any
    log_chance: Float[Array, "step case"]


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


@dataclass(frozen=True)
class HuntRollout:
    """All episodes of a hunt on one grid.

    Attributes:
        steps: of an episode at most.
        episodes: how often the same treasure is hunted.
    """

    grid: Grid
    tokens: HuntTokens
    steps: int
    episodes: int

    def __call__(self, policy: Policy, treasures: Any, seeds: Any, key: Key[Array, ""] | None = None) -> Any:
        """The outcome, and the log-probability of all actions where there is a key to sample them with."""
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

    def first_episode(
        self, policy: Policy, seeds: Float[Array, "noise case"], key: Key[Array, ""] | None = None
    ) -> FirstEpisode:
        """Explore for one episode without ever finding anything."""
        cases, shown = seeds.shape[-1], self.tokens.shown(seeds)

        def step(carry: Any, now: Any) -> Any:
            (cell, token, memory), (time, key) = carry, now
            outputs, memory = policy.step(memory, token, time)
            action, log_chance = _act(outputs, key)
            cell = jnp.asarray(self.grid.neighbours)[cell, action]
            token = self.tokens.later(cell, jnp.full(cases, EMPTY), jnp.broadcast_to(time + 1, cases), shown)
            return (cell, token, memory), (cell, log_chance, policy.trace(memory))

        start = jnp.full(cases, self.grid.first, jnp.int32)
        first = (start, self.tokens.first(seeds), policy.empty(cases))
        times = jnp.arange(self.steps)
        (_, _, memory), (cells, log_chance, traces) = jax.lax.scan(step, first, (times, _keys(key, times)))
        return FirstEpisode(jnp.concatenate([start[None], cells]), memory, traces, log_chance)

    def _hunters(
        self, policy: Policy, first: FirstEpisode, seeds: Any, treasure: Any, found: Any, steps: Any
    ) -> Hunters:
        """One agent per treasure and seed, with its memory as it was when its first episode ended."""
        cases = first.cells.shape[1]
        parents = jnp.tile(jnp.arange(cases), len(treasure) // cases)
        memory = policy.branch(first.memory, first.traces, steps, parents)
        last = jnp.where(found, treasure, first.cells[-1, parents])
        token = self.tokens.later(last, jnp.where(found, FOUND, EMPTY), steps, self.tokens.shown(seeds)[:, parents])
        return Hunters(treasure, token, memory, steps, found, jnp.zeros(treasure.shape))

    def _episode(self, policy: Policy, hunters: Hunters, episode: int, key: Key[Array, ""] | None) -> Hunters:
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
            reward = jnp.where(found, FOUND, EMPTY)
            token = self.tokens.later(cell, reward, steps, now.token[: self.tokens.noise_width])
            token = jnp.where(active[None], token, now.token)
            chance = now.log_chance + jnp.where(active, log_chance, 0.0)
            return cell, active & ~found, Hunters(treasure, token, memory, steps, now.success, chance)

        start = jnp.full(cases, self.grid.first, jnp.int32)
        state = (start, jnp.ones(cases, bool), hunters)
        _, lost, hunters = _repeat(step, state, self.steps, _keys(key, offset + jnp.arange(self.steps)))
        return hunters._replace(success=hunters.success & ~lost)


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
