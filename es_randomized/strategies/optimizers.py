"""Optimizers of the weights or of a search distribution's centre: optax by name."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import optax
from pydantic import Field

from es_randomized.schedules import Rate, build
from es_randomized.settings import settings

Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
CLIPUP_SPEED = 2.0  # in units of the learning rate


@settings
class Optimizer:
    """How a gradient, computed or estimated, moves the weights.

    Attributes:
        kind: adam, sgd and rmsprop are optax's; clipup is Toklu et al. 2020, which PGPE was published with.
        learning_rate: a number or a schedule {start, end, shape}.
        warmup: generations over which the learning rate first rises from 0, in every phase.
        momentum: first-moment decay (adam's beta 1).
        second_moment: second-moment decay (adam's beta 2, rmsprop); others ignore it.
        epsilon: keeps adam and rmsprop from dividing by 0; others ignore it.
        weight_decay: decoupled, multiplied by the learning rate.
        clip_norm: largest norm of the gradient; none by default.
    """

    kind: Literal["adam", "sgd", "rmsprop", "clipup"] = "adam"
    learning_rate: Rate = 0.01
    warmup: Annotated[int, Field(ge=0)] = 0
    momentum: Fraction = 0.9
    second_moment: Fraction = 0.999
    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def build(self, generations: int, rate: Callable[[Any], Any] | None = None) -> optax.GradientTransformation:
        """The optax transformation for so many generations.

        Args:
            rate: in place of the learning rate's own schedule; how programs take it as an argument.
        """
        steps = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        steps.append(self._direction())
        if self.weight_decay:
            steps.append(optax.add_decayed_weights(self.weight_decay))
        steps.append(optax.scale_by_learning_rate(rate or build(self.learning_rate, generations)))
        if self.warmup:
            steps.append(optax.scale_by_schedule(optax.linear_schedule(0.0, 1.0, self.warmup)))
        return optax.chain(*steps)

    def _direction(self) -> optax.GradientTransformation:
        if self.kind == "adam":
            return optax.scale_by_adam(self.momentum, self.second_moment, self.epsilon)
        if self.kind == "rmsprop":
            return optax.scale_by_rms(self.second_moment, self.epsilon)
        if self.kind == "sgd":
            return optax.trace(self.momentum) if self.momentum else optax.identity()
        return optax.chain(optax.normalize_by_update_norm(), _clipped_momentum(self.momentum))


def with_fresh_schedules(state: Any, fresh: Any) -> Any:
    """An optimizer's state, or any tree that holds one, with the counts that schedules go by as in `fresh`."""
    kept = iter(beside_schedules(state))
    parts, structure = jax.tree.flatten(fresh, is_leaf=_is_schedule)
    return jax.tree.unflatten(structure, [part if _is_schedule(part) else next(kept) for part in parts])


def beside_schedules(state: Any) -> list[Any]:
    """The arrays of such a tree that are no counts of schedules, in order."""
    return [part for part in jax.tree.leaves(state, is_leaf=_is_schedule) if not _is_schedule(part)]


def _is_schedule(part: Any) -> bool:
    return isinstance(part, optax.ScaleByScheduleState)


def _clipped_momentum(decay: float) -> optax.GradientTransformation:
    """ClipUp's velocity, at most `CLIPUP_SPEED` long (Toklu et al. 2020; evosax's own calls what optax deprecated)."""

    def update(step: optax.Updates, velocity: optax.Updates, _weights: Any = None) -> tuple[Any, Any]:
        velocity = jax.tree.map(lambda v, s: decay * v + s, velocity, step)
        speed = optax.tree.norm(velocity)
        velocity = optax.tree.scale(jnp.where(speed > CLIPUP_SPEED, CLIPUP_SPEED / speed, 1.0), velocity)
        return velocity, velocity

    return optax.GradientTransformation(optax.tree.zeros_like, update)
