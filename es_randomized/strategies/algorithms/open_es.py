"""OpenAI's evolution strategy."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from es_randomized import rng
from es_randomized.settings import settings
from es_randomized.strategies.noise import RowWeights
from es_randomized.strategies.rule import Losses, Rule, RuleSettings, Sums, antithetic_pairs
from es_randomized.strategies.strategy import State


class Open_ES(Rule):  # noqa: N801, its kind
    """OpenAI-ES: isotropic, antithetic, any optimizer (Salimans 2017)."""

    antithetic = True

    @settings
    class Settings(RuleSettings):
        """See `RuleSettings`."""

        kind: str = "Open_ES"

    def scale(self, state: State, generation: rng.AddressPart) -> Float[Array, ""]:
        return jnp.asarray(self.std(generation), jnp.float32)

    def weights(self, losses: Losses) -> RowWeights:
        plus, minus = antithetic_pairs(losses)
        return RowWeights(plus - minus)

    def update(self, state: State, generation: rng.AddressPart, losses: Losses, sums: Sums) -> State:
        return self.step(state, sums[0] / (len(losses) * self.scale(state, generation)))
