"""An evosax algorithm with the numbers of an experiment, and how its formulas are run.

evosax 0.3.2's step-size schedule lags one generation, its rank weights break ties by position (see shaping.py), and it fails
under strict rank and dtype promotion, which is therefore relaxed around its formulas and nowhere else.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from es_randomized.errors import ConfigError
from es_randomized.schedules import build
from es_randomized.strategies.catalogue import CATALOGUE
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.shaping import by_name


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


def configured(settings: EvolutionSettings, parameters: int, generations: int) -> Configured:
    """The algorithm of `settings` for so many parameters.

    Raises:
        ConfigError: `settings.params` names a number it does not have.
    """
    std = build(settings.std, generations)
    with relaxed():
        algorithm = _algorithm(settings, parameters, generations, std)
        return Configured(algorithm, _params(settings, algorithm, std(0)), std)


def relaxed() -> ExitStack:
    """Rank and dtype promotion as evosax's formulas need them."""
    stack = ExitStack()
    stack.enter_context(jax.numpy_rank_promotion("allow"))
    stack.enter_context(jax.numpy_dtype_promotion("standard"))
    return stack


def _algorithm(settings: EvolutionSettings, parameters: int, generations: int, std: Callable[[Any], Any]) -> Any:
    # Imported here because evosax starts the JAX backend, which must not happen before Ray forks.
    from evosax import algorithms

    cls = getattr(algorithms, settings.kind)
    options: dict[str, Any] = {"metrics_fn": lambda *_: {}}
    accepted = cls.__init__.__annotations__
    if CATALOGUE[settings.kind].optimizer:
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
