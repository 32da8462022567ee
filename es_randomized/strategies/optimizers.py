"""Optimizers of the weights or of a search distribution's centre: optax by name."""

from typing import Annotated, Literal

import optax
from pydantic import Field

from es_randomized.schedules import Rate, build
from es_randomized.settings import settings

Fraction = Annotated[float, Field(ge=0, lt=1)]


@settings
class Optimizer:
    """How a gradient, computed or estimated, moves the weights.

    Attributes:
        kind: adam, sgd and rmsprop are optax's; clipup is Toklu et al. 2020, which PGPE was published with.
        learning_rate: a number or a schedule {start, end, shape}.
        warmup: generations over which the learning rate first rises from 0.
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
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None

    def build(self, generations: int) -> optax.GradientTransformation:
        """The optax transformation for a run of `generations`."""
        steps = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        steps.append(self._direction())
        if self.weight_decay:
            steps.append(optax.add_decayed_weights(self.weight_decay))
        steps.append(optax.scale_by_learning_rate(build(self.learning_rate, generations)))
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
        # Imported here because evosax starts the JAX backend, which must not happen before Ray forks.
        from evosax.core.optimizer import scale_by_clipup

        return optax.chain(optax.normalize_by_update_norm(), scale_by_clipup(momentum=self.momentum))
