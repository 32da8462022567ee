"""Augmented random search."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from es_randomized import rng
from es_randomized.settings import settings
from es_randomized.strategies.algorithms.open_es import Open_ES
from es_randomized.strategies.rule import Losses, RuleSettings, Sums, antithetic_pairs
from es_randomized.strategies.strategy import State


class ARS(Open_ES):
    """Augmented random search: only the better half of the pairs counts, in units of their spread (Mania 2018)."""

    default_shaping = "identity"

    @settings
    class Settings(RuleSettings):
        """See `RuleSettings`."""

        kind: str = "ARS"

    def selected(self, losses: Losses) -> Losses:
        """Zero for members of the other pairs."""
        best = self._best_pairs(losses)
        return jnp.concatenate([jnp.zeros_like(half).at[best].set(half[best]) for half in antithetic_pairs(losses)])

    def update(self, state: State, generation: rng.AddressPart, losses: Losses, sums: Sums) -> State:
        best = self._best_pairs(losses)
        spread = jnp.clip(jnp.std(jnp.concatenate([half[best] for half in antithetic_pairs(losses)])), min=1e-8)
        return self.step(state, sums[0] / (len(best) * spread))

    def _best_pairs(self, losses: Losses) -> Int[Array, " best"]:
        return jnp.argsort(jnp.minimum(*antithetic_pairs(losses)))[: max(1, len(losses) // 4)]
