"""Environments of gymnax as tasks: what an environment draws is the instance, and the policy has a seed of its own.

An instance is a number from which the environment makes all its random draws. The policy sees its seed and the observation in
every step; it acts by the largest of its outputs, or for actions that are numbers by each output, brought into the action's
bounds by tanh. The loss is the return times -1. Needs gymnax, which is imported when an environment is made and not before.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key
from pydantic import Field

from es_randomized import rng
from es_randomized.errors import ConfigError, suggest
from es_randomized.policy import Interface, Memory, Policy
from es_randomized.settings import settings
from es_randomized.tasks.acting import answer_of, mixed, repeat
from es_randomized.tasks.measure import Bounds, Measure
from es_randomized.tasks.task import Outcome, Reference, Task

LowHigh = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]
Size = Annotated[int, Field(ge=1)]


class EnvironmentCases(NamedTuple):
    """The numbers environments draw from, and the policies' seeds."""

    draws: Int[Array, " case"]
    seeds: Float[Array, "noise case"]


class Agents(NamedTuple):
    """Agents in their environments; the second entry is what `repeat` looks at.

    Attributes:
        state: of the environments, with `case` as the first axis.
        active: whose episode goes on.
        token: the last thing they saw.
        memory: without that token.
        total: reward so far.
        path: a hash of all actions.
    """

    state: Any
    active: Bool[Array, " case"]
    token: Float[Array, "feature case"]
    memory: Memory
    total: Float[Array, " case"]
    path: Array


@settings
class GymnaxEnvironment(Task):
    """One episode in an environment of gymnax.

    Attributes:
        environment: its name, such as CartPole-v1.
        steps: of an episode at most; null: as many as the environment says.
        returns: the least and the largest return there can be, for intervals; null: not known.
        solved: the return from which an episode counts as a success; null: none does.
        noise_width: standard normal numbers per seed, shown in every step.
    """

    environment: str = "CartPole-v1"
    steps: Size | None = None
    returns: LowHigh | None = None
    solved: float | None = None
    noise_width: Size = 1

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    @property
    def interface(self) -> Interface:
        outputs = self._actions.n if self._discrete else math.prod(self._actions.shape)
        features = self.noise_width + self._observed
        return Interface(features, outputs, horizon=self._steps, seed_features=range(self.noise_width))

    @property
    def tokens(self) -> int:
        return self._steps

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(-self.returns[1], -self.returns[0]) if self.returns else Bounds()

    @property
    def measure(self) -> Measure:
        return Measure("return", "return", Bounds(*self.returns) if self.returns else Bounds(), higher_is_better=True)

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "{count}"]:
        """Any 31 bits."""
        return jax.random.randint(key, (count,), 0, 2**31 - 1)

    def enumerate(self) -> None:
        """There are too many to list."""

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise {count}"]:
        return jax.random.normal(key, (self.noise_width, count))

    def observe(self, bundles: Int[Array, " case"], seeds: Float[Array, "noise case"]) -> EnvironmentCases:
        """What is drawn from and the seeds; everything else depends on what the policy does."""
        return EnvironmentCases(bundles, seeds)

    def rollout(self, policy: Policy, observations: EnvironmentCases) -> Outcome:
        """Loss: the return times -1; success: it is at least `solved`; answer: a hash of all actions."""
        draws, seeds = observations
        keys = jax.vmap(jax.random.key)(draws)
        made, parameters = self._made

        def token(observed: Any) -> Float[Array, "feature case"]:
            flat = [leaf.reshape(len(draws), -1).astype(seeds.dtype).T for leaf in jax.tree.leaves(observed)]
            return jnp.concatenate([seeds, *flat])

        def step(time: Int[Array, ""], _: None, now: Agents) -> tuple[Agents, None]:
            outputs, memory = policy.step(now.memory, now.token, time, now.active)
            action = self._action(outputs)
            drawn = jax.vmap(lambda key: rng.inside(key, time + 1))(keys)
            with _promoting():
                observed, state, reward, done, _ = jax.vmap(made.step_env, in_axes=(0, 0, 0, None))(
                    drawn, now.state, action, parameters
                )
            total = now.total + jnp.where(now.active, reward.reshape(-1).astype(seeds.dtype), 0)
            going = now.active & ~(done | self._out_of_time(state))
            path = now.path
            for word in self._words(action):
                path = jnp.where(now.active, mixed(path, word), path)
            return Agents(state, going, token(observed), memory, total, path), None

        with _promoting():
            observed, state = jax.vmap(lambda key: made.reset_env(rng.inside(key, 0), parameters))(keys)
        zeros = jnp.zeros(len(draws), seeds.dtype)
        first = Agents(
            state,
            jnp.ones(len(draws), bool),
            token(observed),
            policy.empty(len(draws)),
            zeros,
            zeros.astype(jnp.uint32),
        )
        last, _ = repeat(step, first, self._steps, None)
        solved = math.inf if self.solved is None else self.solved
        return Outcome(-last.total[None], (last.total >= solved)[None], answer_of(last.path)[None])

    def references(self) -> list[Reference]:
        """Nothing is known of environments in general."""
        return []

    def _action(self, outputs: Float[Array, "output case"]) -> Array:
        """What is done, with `case` as the first axis, as environments have it."""
        if self._discrete:
            return jnp.argmax(outputs, axis=0)
        low, high = (
            jnp.broadcast_to(end, self._actions.shape)[None] for end in (self._actions.low, self._actions.high)
        )
        inside = (jnp.tanh(outputs.T.reshape(-1, *self._actions.shape)) + 1) / 2
        return low + (high - low) * inside

    def _words(self, action: Array) -> Int[Array, "word case"]:
        """Actions as words that a hash can take: their numbers, or the bits of theirs, high ones mixed into low ones."""
        rows = action.reshape(len(action), -1).T
        if self._discrete:
            return rows.astype(jnp.int32)
        bits = jax.lax.bitcast_convert_type(rows.astype(jnp.float32), jnp.uint32)
        return jax.lax.bitcast_convert_type(bits ^ (bits >> 15), jnp.int32)

    def _out_of_time(self, state: Any) -> Bool[Array, " case"]:
        """Whose environment says so; before version 1.0 that was a reason among others to be done."""
        made, parameters = self._made
        if not hasattr(made, "is_truncated"):
            return jnp.zeros((), bool)
        with _promoting():
            return jax.vmap(made.is_truncated, in_axes=(0, None))(state, parameters)

    @cached_property
    def _made(self) -> tuple[Any, Any]:
        """The environment and its parameters."""
        try:
            import gymnax
        except ImportError as error:
            raise ConfigError(f"task.kind gymnax_environment needs gymnax: pip install gymnax ({error})") from None
        if self.environment not in gymnax.registered_envs:
            known = gymnax.registered_envs
            raise ConfigError(
                f"task.environment: gymnax has no {self.environment!r}; {suggest(self.environment, known)}"
            )
        made, parameters = gymnax.make(self.environment)
        return made, parameters

    @cached_property
    def _actions(self) -> Any:
        """The space of actions: one of n, or numbers between bounds."""
        made, parameters = self._made
        space = made.action_space(parameters)
        if not hasattr(space, "n") and not (hasattr(space, "low") and bool(jnp.isfinite(space.high - space.low).all())):
            raise ConfigError(
                f"task.environment: {self.environment} has actions {space}; one of n or bounded numbers are known"
            )
        return space

    @property
    def _discrete(self) -> bool:
        return hasattr(self._actions, "n")

    @cached_property
    def _observed(self) -> int:
        """Numbers of an observation."""
        made, parameters = self._made
        with _promoting():
            observed, _ = jax.eval_shape(lambda key: made.reset_env(key, parameters), jax.random.key(0))
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(observed))

    @property
    def _steps(self) -> int:
        return self.steps or int(self._made[1].max_steps_in_episode)


@contextmanager
def _promoting() -> Iterator[None]:
    """Ranks and dtypes are promoted as the library's formulas need it, around them and nowhere else."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield
