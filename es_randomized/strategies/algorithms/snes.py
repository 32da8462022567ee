"""Separable natural evolution strategy."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from es_randomized import rng
from es_randomized.settings import settings
from es_randomized.strategies.evosax_algorithm import configured
from es_randomized.strategies.noise import RowWeights
from es_randomized.strategies.rule import Entries, Losses, Rule, RuleSettings, Sums
from es_randomized.strategies.strategy import SearchSpace, State


class SNES(Rule):
    """Natural gradient of a separable normal distribution, one step size per parameter (Wierstra 2014)."""

    scheduled = False
    default_shaping = "weights"

    @settings
    class Settings(RuleSettings):
        """SNES.

        Attributes:
            lr_std_init: learning rate of the step sizes; (3 + ln d) / 5√d for d parameters unless given.
        """

        kind: str = "SNES"
        lr_std_init: float | None = None

    def __init__(self, settings: Settings, space: SearchSpace) -> None:
        self.numbers = configured("SNES", settings, space).params
        super().__init__(settings, space)

    @property
    def rank_weights(self) -> Float[Array, " member"]:  # type: ignore[override]
        return self.numbers.weights

    def init(self, key: Key[Array, ""], centre: Entries) -> State:
        return super().init(key, centre) | {"std": jnp.full_like(centre, self.numbers.std_init)}

    def scale(self, state: State, generation: rng.AddressPart) -> Entries:
        return state["std"]

    def weights(self, losses: Losses) -> RowWeights:
        return RowWeights(losses, losses)

    def update(self, state: State, generation: rng.AddressPart, losses: Losses, sums: Sums) -> State:
        std = state["std"]
        grown = std * jnp.exp(0.5 * self.numbers.lr_std_init * (sums[1] - jnp.sum(losses)))
        return self.step(state, -std * sums[0]) | {"std": grown}
