"""Every evosax algorithm behind the `Strategy` interface: the only file that knows its algorithms.

evosax 0.3.2 and what is mended here: its state is normalised to strong types (else the second generation recompiles);
its step-size schedule lags one generation; its rank weights break ties by position (see shaping.py); it fails under
strict rank and dtype promotion, which is therefore relaxed around its calls and nowhere else.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.compilation import jit
from es_randomized.errors import ConfigError
from es_randomized.schedules import build
from es_randomized.strategies.catalogue import CATALOGUE, Entry
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.placement import explained
from es_randomized.strategies.shaping import by_name
from es_randomized.strategies.strategy import Draw, PartsOf, State, Strategy


class EvosaxStrategy(Strategy):
    """One evosax algorithm, with the population of a generation held as a matrix [member, param]."""

    signs = 1

    def __init__(self, settings: EvolutionSettings, parameters: int, seed: int, generations: int) -> None:
        self.population, self.parameters, self.seed = settings.population, parameters, seed
        self.entry: Entry = CATALOGUE[settings.kind]
        self.std = build(settings.std, generations)
        with relaxed():
            self.algorithm = _algorithm(settings, self.entry, parameters, generations, self.std)
            self.params = _params(settings, self.algorithm, self.std(0))
        self._init, self._ask, self._tell = jit(self._init_raw), jit(self._ask_raw), jit(self._tell_raw)

    def init(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        with relaxed():
            return self._init(key, centre)

    def draw(self, state: State, generation: int) -> Draw:
        with relaxed():
            return Draw(generation, state, self._ask(state, np.uint32(generation)))

    def message(self, draw: Draw) -> list[np.ndarray]:
        return [np.asarray(leaf) for leaf in jax.tree.leaves(draw.state)]

    def receive(self, message: list[np.ndarray], generation: int) -> Any:
        return self.draw(jax.tree.unflatten(self._structure, message), generation).sample

    def members(self, sample: Any, rows: Int[Array, " row"]) -> Float[Array, "row sign param"]:
        return sample[0][rows][:, None]

    def tell(self, draw: Draw, losses: Float[np.ndarray, " member"], parts_of: PartsOf | None = None) -> State:
        population, asked = draw.sample
        with relaxed():
            return self._tell(asked, population, losses, np.uint32(draw.generation))

    def centre(self, state: State) -> Float[Array, " param"]:
        if self.entry.population_based:
            return jnp.asarray(state.population)[jnp.argmin(state.fitness)]
        return jnp.asarray(state.mean)

    def sample_shape(self) -> Any:
        centre = jax.ShapeDtypeStruct((self.parameters,), np.float32)
        with relaxed():
            state = jax.eval_shape(self._init_raw, jax.random.key(0), centre)
            return jax.eval_shape(self._ask_raw, state, np.uint32(0))

    def describe(self) -> dict[str, str]:
        numbers = self.population * self.parameters
        return {
            "population matrix": f"{4 * numbers / 2**20:,.1f} MiB in every process",
            "noise": f"{numbers:,} random numbers at most, in every process",
            "update": explained(self),
        }

    @cached_property
    def _structure(self) -> Any:
        centre = jax.ShapeDtypeStruct((self.parameters,), np.float32)
        with relaxed():
            return jax.tree.structure(jax.eval_shape(self._init_raw, jax.random.key(0), centre))

    def _init_raw(self, key: Key[Array, ""], centre: Float[Array, " param"]) -> State:
        if not self.entry.population_based:
            state = self.algorithm.init(key, centre, self.params)
            if hasattr(self.algorithm, "std_schedule"):
                state = state.replace(std=jnp.broadcast_to(self.std(0), jnp.shape(state.std)))
            return _strong(state)
        first, then = jax.random.split(key)
        noise = jax.random.normal(first, (self.population, self.parameters))
        unevaluated = jnp.full(self.population, jnp.inf)
        return _strong(self.algorithm.init(then, centre + self.std(0) * noise, unevaluated, self.params))

    def _ask_raw(self, state: State, generation: Any) -> tuple[Float[Array, "member param"], State]:
        key = rng.address(self.seed, rng.Purpose.NOISE, generation)
        population, asked = self.algorithm.ask(key, state, self.params)
        return population, _strong(asked)

    def _tell_raw(self, asked: State, population: Any, losses: Any, generation: Any) -> State:
        key = rng.address(self.seed, rng.Purpose.UPDATE, generation)
        state, _ = self.algorithm.tell(key, population, losses, asked, self.params)
        return _strong(state)


def _algorithm(
    settings: EvolutionSettings, entry: Entry, parameters: int, generations: int, std: Callable[[Any], Any]
) -> Any:
    """The configured evosax object. It hashes by identity, so one is made per run and never changed."""
    # Imported here because evosax starts the JAX backend, which must not happen before Ray forks.
    from evosax import algorithms

    cls = getattr(algorithms, settings.kind)
    options: dict[str, Any] = {"metrics_fn": lambda *_: {}}
    accepted = cls.__init__.__annotations__
    if entry.optimizer:
        options["optimizer"] = settings.optimizer.build(generations)
    if "std_schedule" in accepted:
        options["std_schedule"] = lambda generation: std(generation + 1)
    shaping = _default_shaping(cls) if settings.shaping == "default" else settings.shaping
    options["fitness_shaping_fn"] = by_name(shaping)
    return cls(population_size=settings.population, solution=jnp.zeros(parameters), **options)


def _default_shaping(cls: Any) -> str:
    import inspect

    name = inspect.signature(cls.__init__).parameters["fitness_shaping_fn"].default.__name__
    return {
        "weights_fitness_shaping_fn": "weights",
        "centered_rank_fitness_shaping_fn": "centred_rank",
        "identity_fitness_shaping_fn": "identity",
    }[name]


def _params(settings: EvolutionSettings, algorithm: Any, std: Any) -> Any:
    """evosax's numeric parameters: its defaults, the step size, and the user's overrides by name."""
    params = algorithm.default_params
    names = {field.name for field in fields(params)}
    if "std_init" in names:
        params = params.replace(std_init=jnp.full_like(jnp.asarray(params.std_init, jnp.float32), std))
    for name, value in settings.params.items():
        if name not in names:
            near = get_close_matches(name, sorted(names), 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(names)) or 'none'}"
            raise ConfigError(f"driver.params.{name}: {settings.kind} has no such parameter; {hint}")
        params = params.replace(**{name: jnp.asarray(value, jnp.float32)})
    return params


def _strong(state: State) -> State:
    """The state with numbers made arrays and weak types made strong, so that one program serves all generations."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), state)


def relaxed() -> ExitStack:
    """Rank and dtype promotion as evosax's formulas need them."""
    stack = ExitStack()
    stack.enter_context(jax.numpy_rank_promotion("allow"))
    stack.enter_context(jax.numpy_dtype_promotion("standard"))
    return stack
