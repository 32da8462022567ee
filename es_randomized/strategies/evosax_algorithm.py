"""An evosax algorithm with the numbers of an experiment, and how its formulas are run.

evosax 0.3.2's step-size schedule lags one generation, its rank weights break ties by position (see shaping.py), and it fails
under strict rank and dtype promotion, which is therefore relaxed around its formulas and nowhere else.
"""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from es_randomized.schedules import build
from es_randomized.strategies.evolution_settings import ShapedSettings
from es_randomized.strategies.shaping import by_name, no_weights
from es_randomized.strategies.strategy import SearchSpace

SHAPING_FUNCTIONS = {
    "weights_fitness_shaping_fn": "weights",
    "centered_rank_fitness_shaping_fn": "centred_rank",
    "identity_fitness_shaping_fn": "identity",
}


class Configured(NamedTuple):
    """An evosax algorithm ready for use.

    Attributes:
        algorithm: the object. It hashes by identity, so one is made per run and never changed.
        params: its numbers.
        std: the step size at a generation.
    """

    algorithm: Any
    params: Any
    std: Callable[[Any], Any]


def configured(name: str, settings: ShapedSettings, space: SearchSpace) -> Configured:
    """The evosax algorithm of this name with these settings; those of its numbers that they have keep evosax's names."""
    std = build(settings.std, space.generations)
    with relaxed():
        algorithm = _algorithm(name, settings, space, std)
        params = algorithm.default_params
        if settings.shaping == "weights" and not hasattr(params, "weights"):
            raise no_weights(name)
        return Configured(algorithm, _params(settings, params, std(0)), std)


def relaxed() -> ExitStack:
    """Rank and dtype promotion as evosax's formulas need them."""
    stack = ExitStack()
    stack.enter_context(jax.numpy_rank_promotion("allow"))
    stack.enter_context(jax.numpy_dtype_promotion("standard"))
    return stack


def _algorithm(name: str, settings: ShapedSettings, space: SearchSpace, std: Callable[[Any], Any]) -> Any:
    # Imported here because evosax starts the JAX backend, which must not happen before Ray forks.
    from evosax import algorithms

    cls = getattr(algorithms, name)
    accepted = inspect.signature(cls.__init__).parameters
    default = SHAPING_FUNCTIONS[accepted["fitness_shaping_fn"].default.__name__]
    shape = by_name(default if settings.shaping == "default" else settings.shaping)
    options: dict[str, Any] = {
        "metrics_fn": lambda *_: {},
        "fitness_shaping_fn": lambda _, losses, __, params: shape(losses, getattr(params, "weights", None)),
    }
    if "optimizer" in accepted:
        options["optimizer"] = settings.optimizer.build(space.generations)
    if "std_schedule" in accepted:
        options["std_schedule"] = lambda generation: std(generation + 1)
    return cls(population_size=settings.population, solution=jnp.zeros(space.parameters), **options)


def _params(settings: ShapedSettings, params: Any, std: Any) -> Any:
    """evosax's numbers: its defaults, the step size, and those of the settings that differ from theirs."""
    names = {field.name for field in fields(params)}
    if "std_init" in names:
        params = params.replace(std_init=jnp.full_like(jnp.asarray(params.std_init, jnp.float32), std))
    given = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name in names}
    defaults = {field.name: field.default for field in fields(settings)}
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    return params.replace(
        **{
            name: jnp.asarray(value, jnp.float32) if isinstance(value, float) else value
            for name, value in changed.items()
        }
    )
