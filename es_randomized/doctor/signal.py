"""Signal to noise of an update: how far two independent estimates of it point the same way.

An estimate ĝ from R random directions in d dimensions has, where losses are linear and free of noise, an expected squared
cosine of R / (R + d + 1) with the true gradient. Two estimates from R / 2 directions each have that of R / 2 as their expected
cosine with each other: what one knows of the gradient, times what the other does. What is measured below that is lost to
losses that are no slopes: curvature, ties, jumps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from es_randomized.compilation import jit
from es_randomized.strategies.shaping import rank_worst, ranks
from es_randomized.strategies.strategy import Proposal, Strategy


class Agreement(NamedTuple):
    """Cosines of pairs of estimates, averaged over generations.

    Attributes:
        cosine: mean over generations, in [-1, 1].
        error: standard error of that mean; infinite for a single generation.
        expected: of two halves of a population where losses are linear and free of noise; None where nothing says.
        generations: how many were looked at.
    """

    cosine: float
    error: float
    expected: float | None
    generations: int

    @property
    def slope_share(self) -> float | None:
        """Share of the members' differences in loss that is a slope in the weights, about 1 where all of it is."""
        return self.cosine / self.expected if self.expected else None


def agreement(cosines: list[float], expected: float | None) -> Agreement:
    """The average of cosines that are independent of each other, at least one."""
    error = float(np.std(cosines, ddof=1)) / len(cosines) ** 0.5 if len(cosines) > 1 else float("inf")
    return Agreement(float(np.mean(cosines)), error, expected, len(cosines))


def expected_cosine(directions: int, parameters: int) -> float:
    """Squared cosine of an estimate with the gradient: R random directions, d parameters, linear losses, no noise."""
    return directions / (directions + parameters + 1)


def cosine(one: Float[np.ndarray, " param"], other: Float[np.ndarray, " param"]) -> float:
    """Of the angle between two vectors; 0 where one of them is 0."""
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(np.dot(one, other)) / lengths if lengths else 0.0


class Halves:
    """Updates of two halves of a population: its even and its odd rows of noise, antithetic pairs together.

    The update is Σ w (θ − c) over members θ around the centre c, with w the centred rank of a loss in the population: the
    direction that the losses point in, before an optimizer turns it into a step. No strategy's own weights are used, so the
    measure is the same for all of them.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy, self._sums = strategy, jit(self._summed)

    def cosine(self, proposal: Proposal, centre: Float[Array, " param"], losses: Float[np.ndarray, " member"]) -> float:
        """Of the two updates.

        Args:
            losses: raw, in id order; what is not finite counts as worst.
        """
        one, other = np.asarray(self._sums(proposal, centre, self._weights(losses)), np.float64)
        return cosine(one, other)

    def _weights(self, losses: Float[np.ndarray, " member"]) -> Float[np.ndarray, "row antithetic"]:
        ranked = ranks(rank_worst(losses)).reshape(self._strategy.members_per_row, -1).T
        halves = np.arange(self._strategy.rows) % 2
        means = np.stack([ranked[halves == half].mean() for half in range(2)])
        return np.asarray(ranked - means[halves][:, None], np.float32)

    def _summed(
        self, proposal: Proposal, centre: Float[Array, " param"], weights: Float[Array, "row antithetic"]
    ) -> Float[Array, "half param"]:
        def add(row: Int[Array, ""], sums: Float[Array, "half param"]) -> Float[Array, "half param"]:
            members = self._strategy.members(proposal, row[None])[0]
            return sums.at[row % 2].add(weights[row] @ (members - centre[None]))

        return jax.lax.fori_loop(0, self._strategy.rows, add, jnp.zeros((2, len(centre))))
