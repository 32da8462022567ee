"""Policy gradients with parameter-based exploration."""

import jax.numpy as jnp
from jaxtyping import Array, Key

from es_randomized import rng
from es_randomized.settings import settings
from es_randomized.strategies.noise import RowWeights
from es_randomized.strategies.rule import Entries, Losses, Rule, RuleSettings, Sums, antithetic_pairs
from es_randomized.strategies.strategy import State


class PGPE(Rule):
    """One step size per parameter, learnt from Σ b z²; antithetic (Sehnke 2010); the paper's."""

    antithetic = True
    scheduled = False

    @settings
    class Settings(RuleSettings):
        """PGPE.

        Attributes:
            std_lr: learning rate of the step sizes.
            std_max_change: a step size changes by at most this fraction in a generation.
        """

        kind: str = "PGPE"
        std_lr: float = 0.1
        std_max_change: float = 0.2

    options: Settings

    def init(self, key: Key[Array, ""], centre: Entries) -> State:
        return super().init(key, centre) | {"std": jnp.full_like(centre, self.std(0))}

    def scale(self, state: State, generation: rng.AddressPart) -> Entries:
        return state["std"]

    def weights(self, losses: Losses) -> RowWeights:
        plus, minus = antithetic_pairs(losses)
        return RowWeights(plus - minus, plus + minus - 2 * jnp.mean(losses))

    def update(self, state: State, generation: rng.AddressPart, losses: Losses, sums: Sums) -> State:
        std, squares = state["std"], self.weights(losses).squares
        assert squares is not None
        gradient = std * (sums[1] - jnp.sum(squares)) / len(losses)
        most = self.options.std_max_change * std
        learnt = jnp.clip(std - self.options.std_lr * gradient, std - most, std + most)
        return self.step(state, std * sums[0] / len(losses)) | {"std": learnt}
