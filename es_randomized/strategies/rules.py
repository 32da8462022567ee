"""Update rules that read a population only through two weighted sums over its noise: Σ a z and Σ b z².

evosax's formulas (0.3.2), with the population's own z instead of (member - mean) / std. A rule never sees a member, so
whoever holds a row of noise, or a column, can add up its part.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from es_randomized.strategies.noise import RowWeights
from es_randomized.strategies.strategy import State

Losses = Float[Array, " member"]  # after fitness shaping
Entries = Float[Array, " param"]
Sums = Float[Array, "sum param"]  # Σ a z and, where a rule needs it, Σ b z²


@dataclass(frozen=True)
class Rule(ABC):
    """An update of a search distribution mean + scale * z.

    Attributes:
        params: evosax's numbers of the algorithm.
        optimizer: of the mean, where the algorithm takes one.
        std: the step size at a generation, where the algorithm takes a schedule.
    """

    params: Any
    optimizer: optax.GradientTransformation | None
    std: Any

    antithetic: ClassVar[bool]  # a row makes a pair: members r and r + rows
    seconds: ClassVar[bool] = False  # needs Σ b z²

    @abstractmethod
    def init(self, centre: Entries) -> State:
        """The state before generation 0."""

    @abstractmethod
    def scale(self, state: State, generation: Any) -> Float[Array, "*entries"]:
        """What multiplies the noise: one number, or one per parameter."""

    def counted(self, losses: Losses) -> Losses:
        """Losses as `weights` wants them. What takes long is done here, once, and not again for every part of an update."""
        return losses

    @abstractmethod
    def weights(self, counted: Losses) -> RowWeights:
        """What every row of noise counts."""

    @abstractmethod
    def update(self, state: State, generation: Any, losses: Losses, sums: Sums) -> State:
        """The state after the generation."""

    def _step(self, state: State, gradient: Entries) -> dict[str, Any]:
        """The mean and its optimizer after one step."""
        assert self.optimizer is not None
        step, optimizer = self.optimizer.update(gradient, state["optimizer"], state["mean"])
        return {"mean": optax.apply_updates(state["mean"], step), "optimizer": optimizer}

    def _centred(self, centre: Entries) -> dict[str, Any]:
        assert self.optimizer is not None
        return {"mean": centre, "optimizer": self.optimizer.init(centre)}


class OpenES(Rule):
    """Salimans et al. 2017: one step size for all parameters, scheduled."""

    antithetic = True

    def init(self, centre: Entries) -> State:
        return self._centred(centre)

    def scale(self, state: State, generation: Any) -> Float[Array, ""]:
        return jnp.asarray(self.std(generation), jnp.float32)

    def weights(self, counted: Losses) -> RowWeights:
        plus, minus = _halves(counted)
        return RowWeights(plus - minus, None)

    def update(self, state: State, generation: Any, losses: Losses, sums: Sums) -> State:
        return self._step(state, sums[0] / (len(losses) * self.scale(state, generation)))


class ARS(OpenES):
    """Mania et al. 2018: the better half of the pairs counts, in units of their spread."""

    def counted(self, losses: Losses) -> Losses:
        best = self._best(losses)
        return jnp.concatenate([jnp.zeros_like(half).at[best].set(half[best]) for half in _halves(losses)])

    def update(self, state: State, generation: Any, losses: Losses, sums: Sums) -> State:
        best = self._best(losses)
        spread = jnp.clip(jnp.std(jnp.concatenate([half[best] for half in _halves(losses)])), min=1e-8)
        return self._step(state, sums[0] / (len(best) * spread))

    def _best(self, losses: Losses) -> Array:
        return jnp.argsort(jnp.minimum(*_halves(losses)))[: max(1, len(losses) // 4)]


class PGPE(Rule):
    """Sehnke et al. 2010: a step size of its own for every parameter, learnt from Σ b z²."""

    antithetic, seconds = True, True

    def init(self, centre: Entries) -> State:
        return self._centred(centre) | {"std": jnp.full_like(centre, self.params.std_init)}

    def scale(self, state: State, generation: Any) -> Entries:
        return state["std"]

    def weights(self, counted: Losses) -> RowWeights:
        plus, minus = _halves(counted)
        return RowWeights(plus - minus, plus + minus - 2 * jnp.mean(counted))

    def update(self, state: State, generation: Any, losses: Losses, sums: Sums) -> State:
        std, second = state["std"], self.weights(losses).second
        assert second is not None
        gradient = std * (sums[1] - jnp.sum(second)) / len(losses)
        most = self.params.std_max_change * std
        learnt = jnp.clip(std - self.params.std_lr * gradient, std - most, std + most)
        return self._step(state, std * sums[0] / len(losses)) | {"std": learnt}


class SNES(Rule):
    """Wierstra et al. 2014: natural gradient of a separable normal distribution."""

    antithetic, seconds = False, True

    def init(self, centre: Entries) -> State:
        return self._centred(centre) | {"std": jnp.full_like(centre, self.params.std_init)}

    def scale(self, state: State, generation: Any) -> Entries:
        return state["std"]

    def weights(self, counted: Losses) -> RowWeights:
        return RowWeights(counted, counted)

    def update(self, state: State, generation: Any, losses: Losses, sums: Sums) -> State:
        std = state["std"]
        grown = std * jnp.exp(0.5 * self.params.lr_std_init * (sums[1] - jnp.sum(losses)))
        return self._step(state, -std * sums[0]) | {"std": grown}


class SepCMAES(Rule):
    """Ros & Hansen 2008: CMA-ES with a diagonal covariance; equation numbers of Hansen 2016."""

    antithetic, seconds = False, True

    def init(self, centre: Entries) -> State:
        zeros, ones = jnp.zeros_like(centre), jnp.ones_like(centre)
        std = jnp.asarray(self.params.std_init, jnp.float32)
        return {"mean": centre, "std": std, "p_std": zeros, "p_c": zeros, "variance": ones}

    def scale(self, state: State, generation: Any) -> Entries:
        return state["std"] * jnp.sqrt(_loaded(state["variance"]))

    def weights(self, counted: Losses) -> RowWeights:
        return RowWeights(counted, counted)

    def update(self, state: State, generation: Any, losses: Losses, sums: Sums) -> State:
        p, variance, generations = self.params, _loaded(state["variance"]), jnp.asarray(generation, jnp.float32)
        deviation = jnp.sqrt(variance)
        step = deviation * sums[0]  # (41)
        p_std = (1 - p.c_std) * state["p_std"] + jnp.sqrt(p.c_std * (2 - p.c_std) * p.mu_eff) * sums[0]  # (43)
        length = jnp.linalg.norm(p_std)
        std = state["std"] * jnp.exp(p.c_std / p.d_std * (length / p.chi_n - 1))  # (44)
        expected = (1.4 + 2 / (len(step) + 1)) * p.chi_n * jnp.sqrt(1 - (1 - p.c_std) ** (2 * (generations + 2)))
        going = (length < expected).astype(jnp.float32)
        p_c = (1 - p.c_c) * state["p_c"] + going * jnp.sqrt(p.c_c * (2 - p.c_c) * p.mu_eff) * step  # (45)
        kept = 1 + p.c_1 * (1 - going) * p.c_c * (2 - p.c_c) - p.c_1 - p.c_mu * jnp.sum(p.weights)
        return {
            "mean": state["mean"] + p.c_mean * state["std"] * step,  # (42)
            "std": jnp.clip(std, p.std_min, p.std_max),
            "p_std": p_std,
            "p_c": p_c,
            "variance": kept * variance + p.c_1 * p_c**2 + p.c_mu * variance * sums[1],  # (47)
        }


RULES: dict[str, type[Rule]] = {"Open_ES": OpenES, "ARS": ARS, "PGPE": PGPE, "SNES": SNES, "Sep_CMA_ES": SepCMAES}


def _halves(losses: Losses) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
    half = len(losses) // 2
    return losses[:half], losses[half:]


def _loaded(variance: Entries) -> Entries:
    """The variances as evosax keeps them from vanishing."""
    return jnp.clip(variance, 0.0, 1e8) + 1e-8
