"""Play a treasure hunt: the first episode once per seed, as if there were no treasure, the later ones once per treasure."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from es_randomized.policy import Memory, Policy
from es_randomized.references.grid import MOVES, Grid
from es_randomized.tasks.acting import Acts, act, answer_of, mixed, noise_of, repeat
from es_randomized.tasks.decisions import Decisions, Sampled
from es_randomized.tasks.hunt_thinning import Choice, HuntCases
from es_randomized.tasks.hunt_tokens import EMPTY, FOUND, HuntTokens
from es_randomized.tasks.task import Outcome


class FirstEpisode(NamedTuple):
    """The first episode of every seed, as if there were no treasure.

    Attributes:
        cells: where the agent is after 0, 1, ... steps.
        memory: after its last token but one.
        traces: of the memory after every token.
        acts: of every step.
    """

    cells: Int[Array, "time case"]
    memory: Memory
    traces: Any
    acts: Acts


class Hunters(NamedTuple):
    """Agents that know, or do not know yet, where the treasure is.

    Attributes:
        treasure: its cell.
        token: the last thing they saw.
        memory: without that token.
        steps: so far, over all episodes.
        success: whether every episode so far found the treasure.
    """

    treasure: Int[Array, " hunter"]
    token: Float[Array, "feature hunter"]
    memory: Memory
    steps: Int[Array, " hunter"]
    success: Bool[Array, " hunter"]


class LaterEpisode(NamedTuple):
    """A later episode, step by step.

    Attributes:
        acts: of every step.
        active: who had not found the treasure yet.
        steps: taken before, over all episodes.
    """

    acts: Acts
    active: Bool[Array, "step hunter"]
    steps: Int[Array, "step hunter"]


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

    def play(
        self, policy: Policy, cases: HuntCases, key: Key[Array, ""] | None = None
    ) -> tuple[Outcome, Decisions | None]:
        """The outcome, and the decisions where there is a key to sample actions with.

        Where some later episodes are not played, losses are estimates and success is that of the first episode.
        """
        choice = Choice(cases)
        first = self.first_episode(policy, cases.seeds, key)
        visits = first.cells[1:, None] == cases.treasures[None]
        found = jnp.any(visits, axis=0)
        steps = jnp.where(found, jnp.argmax(visits, axis=0) + 1, self.steps)
        hunters = self._hunters(policy, first, cases.seeds, *map(choice.of, (cases.treasures, found, steps)))
        episodes = []
        for episode in range(1, self.episodes):
            hunters, made = self._episode(policy, hunters, episode, key)
            episodes += [made] if made else []
        total, least = choice.spread(hunters.steps).astype(jnp.float32), None
        if choice.some:
            least = steps.astype(jnp.float32) + self._least(cases.treasures)
            beyond = hunters.steps.astype(jnp.float32) - choice.of(least)
            total = least + choice.weight * choice.spread(beyond)
        success = found if choice.some else choice.spread(hunters.success)
        outcome = Outcome(total, success, jnp.broadcast_to(_mixed_path(first.cells), total.shape))
        if key is None:
            return outcome, None
        decisions = [self._first_decisions(choice, first.acts, steps, total, least)]
        decisions += [_later_decisions(choice, each, hunters.steps) for each in episodes]
        return outcome, jax.tree.map(lambda *each: jnp.concatenate(each), *decisions)

    def _least(self, treasures: Int[Array, "treasure case"]) -> Float[Array, "treasure case"]:
        """Steps that later episodes take at least."""
        away = np.minimum(self.grid.distances, self.steps).astype(np.float32)
        return (self.episodes - 1) * jnp.asarray(away)[treasures]

    def _first_decisions(self, choice: Choice, acts: Acts, steps: Any, total: Any, least: Any) -> Decisions:
        """Actions of the first episode bring on all later steps: what is played of them is a part of its own."""
        time = jnp.arange(self.steps)[:, None, None]
        shape, exploring = (self.steps, *steps.shape), time < steps[None]
        past = time.astype(jnp.float32)
        log_chance, entropy = (jnp.broadcast_to(x[:, None], shape) for x in acts)
        if least is None:
            return Decisions(log_chance, exploring, total[None] - past, entropy)
        known = choice.spread(jnp.ones_like(choice.of(steps), bool))
        sampled = Sampled(jnp.broadcast_to(known, shape), jnp.broadcast_to(total - least, shape))
        return Decisions(log_chance, exploring, least[None] - past, entropy, sampled)

    def first_episode(
        self, policy: Policy, seeds: Float[Array, "noise case"], key: Key[Array, ""] | None = None
    ) -> FirstEpisode:
        """Explore for one episode without ever finding anything."""
        cases, shown = seeds.shape[-1], self.tokens.shown(seeds)

        def step(carry: Any, now: Any) -> Any:
            (cell, token, memory), (time, noise) = carry, now
            outputs, memory = policy.step(memory, token, time)
            action, acts = act(outputs, noise)
            cell = jnp.asarray(self.grid.neighbours)[cell, action]
            token = self.tokens.later(cell, jnp.full(cases, EMPTY), jnp.broadcast_to(time + 1, cases), shown)
            return (cell, token, memory), (cell, acts, policy.trace(memory))

        start = jnp.full(cases, self.grid.first, jnp.int32)
        first = (start, self.tokens.first(seeds), policy.empty(cases))
        times = jnp.arange(self.steps)
        noise = noise_of(key, times, len(MOVES), cases)
        (_, _, memory), (cells, acts, traces) = jax.lax.scan(step, first, (times, noise))
        return FirstEpisode(jnp.concatenate([start[None], cells]), memory, traces, acts)

    def _hunters(
        self, policy: Policy, first: FirstEpisode, seeds: Any, treasure: Any, found: Any, steps: Any
    ) -> Hunters:
        """One agent per treasure and seed, with its memory as it was when its first episode ended."""
        cases = first.cells.shape[1]
        parents = jnp.tile(jnp.arange(cases), len(treasure) // cases)
        memory = policy.branch(first.memory, first.traces, steps, parents)
        last = jnp.where(found, treasure, first.cells[-1, parents])
        token = self.tokens.later(last, jnp.where(found, FOUND, EMPTY), steps, self.tokens.shown(seeds)[:, parents])
        return Hunters(treasure, token, memory, steps, found)

    def _episode(
        self, policy: Policy, hunters: Hunters, episode: int, key: Key[Array, ""] | None
    ) -> tuple[Hunters, LaterEpisode | None]:
        """One more episode for all agents at once, until the last of them is done; its steps where there is a key."""
        treasure, cases = hunters.treasure, hunters.treasure.shape[0]
        offset = episode * self.steps

        def step(time: Int[Array, ""], noise: Any, state: Any) -> Any:
            cell, active, now = state
            outputs, memory = policy.step(now.memory, now.token, offset + time, active)
            action, acts = act(outputs, noise)
            cell = jnp.asarray(self.grid.neighbours)[cell, action]
            found = cell == treasure
            steps = now.steps + active.astype(jnp.int32)
            reward = jnp.where(found, FOUND, EMPTY)
            token = self.tokens.later(cell, reward, steps, now.token[: self.tokens.noise_width])
            token = jnp.where(active[None], token, now.token)
            after = cell, active & ~found, Hunters(treasure, token, memory, steps, now.success)
            return after, LaterEpisode(acts, active, now.steps)

        start = jnp.full(cases, self.grid.first, jnp.int32)
        state = (start, jnp.ones(cases, bool), hunters)
        noise = noise_of(key, offset + jnp.arange(self.steps), len(MOVES), cases)
        (_, lost, hunters), made = repeat(step, state, self.steps, noise)
        return hunters._replace(success=hunters.success & ~lost), made


def _later_decisions(choice: Choice, episode: LaterEpisode, total: Int[Array, " hunter"]) -> Decisions:
    """Actions of a later episode bring on their hunter's own steps."""
    to_come = choice.weight * (total[None] - episode.steps).astype(jnp.float32)
    log_chance, entropy = map(choice.spread, episode.acts)
    active, to_come = choice.spread(episode.active), choice.spread(to_come)
    nothing = Sampled(jnp.zeros_like(active), jnp.zeros_like(to_come)) if choice.some else None
    return Decisions(log_chance, active, to_come, entropy, nothing)


def _mixed_path(cells: Int[Array, "time case"]) -> Int[Array, " case"]:
    """A 31-bit hash of a path."""
    hashed = jnp.zeros(cells.shape[1], jnp.uint32)
    for cell in cells:
        hashed = mixed(hashed, cell)
    return answer_of(hashed)
