"""CMA-ES with a diagonal covariance."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from es_randomized import rng
from es_randomized.settings import settings
from es_randomized.strategies.evosax_algorithm import configured
from es_randomized.strategies.noise import RowWeights
from es_randomized.strategies.rule import Entries, Losses, Rule, RuleSettings, Sums
from es_randomized.strategies.strategy import SearchSpace, State


class Sep_CMA_ES(Rule):  # noqa: N801, its kind
    """CMA-ES with a diagonal covariance (Ros & Hansen 2008).

    Equation numbers in the code are those of Hansen 2016.
    """

    scheduled = False
    takes_optimizer = False
    default_shaping = "weights"

    @settings
    class Settings(RuleSettings):
        """Sep-CMA-ES; numbers that are not given follow from population and parameters (Hansen 2016).

        Attributes:
            std_min, std_max: bounds of the step size.
            mu_eff: variance-effective selection mass.
            c_mean: learning rate of the mean.
            c_std, d_std: learning rate and damping of the step size.
            c_c: learning rate of the path of the rank-one update.
            c_1, c_mu: learning rates of the rank-one and the rank-mu update.
            chi_n: expected length of a standard normal vector.
        """

        kind: str = "Sep_CMA_ES"
        std_min: float = 0.0
        std_max: float = 1e8
        mu_eff: float | None = None
        c_mean: float = 1.0
        c_std: float | None = None
        d_std: float | None = None
        c_c: float | None = None
        c_1: float | None = None
        c_mu: float | None = None
        chi_n: float | None = None

    def __init__(self, settings: Settings, space: SearchSpace) -> None:
        self.numbers = configured("Sep_CMA_ES", settings, space).params
        super().__init__(settings, space)

    @property
    def rank_weights(self) -> Float[Array, " member"]:  # type: ignore[override]
        return self.numbers.weights

    def init(self, key: Key[Array, ""], centre: Entries) -> State:
        zeros, ones = jnp.zeros_like(centre), jnp.ones_like(centre)
        std = jnp.asarray(self.numbers.std_init, jnp.float32)
        return {"mean": centre, "std": std, "p_std": zeros, "p_c": zeros, "variance": ones}

    def scale(self, state: State, generation: rng.AddressPart) -> Entries:
        return state["std"] * jnp.sqrt(_loaded(state["variance"]))

    def weights(self, losses: Losses) -> RowWeights:
        return RowWeights(losses, losses)

    def update(self, state: State, generation: rng.AddressPart, losses: Losses, sums: Sums) -> State:
        p, variance = self.numbers, _loaded(state["variance"])
        generations = jnp.asarray(generation - np.uint32(self.space.first), jnp.float32)
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


def _loaded(variance: Entries) -> Entries:
    """The variances as evosax keeps them from vanishing."""
    return jnp.clip(variance, 0.0, 1e8) + 1e-8
