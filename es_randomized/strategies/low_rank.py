"""Low-rank noise: A Bᵀ / √rank for every matrix, independent normals for vectors (Sarkar et al. 2025, arXiv:2511.16652).

Only the factors A and B are drawn: rank (in + out) normals instead of in · out. Members evaluated side by side never multiply
them out, and the sums of an update are matrix products of the factors of many rows.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from es_randomized import rng
from es_randomized.perturbed import Perturbed
from es_randomized.strategies.noise import Index, Kept, Noise, RowWeights

ROWS_AT_ONCE = 64  # of noise in one matrix product: enough for its speed, small beside the weights


class Factors(NamedTuple):
    """A and B of one matrix, or of a stack of them."""

    left: Float[Array, "... out rank"]
    right: Float[Array, "... in rank"]


Leaf = (
    Factors | Float[Array, "..."]
)  # noise of a matrix, or of a vector; with a leading axis where it is of several rows


@dataclass(frozen=True)
class LowRank(Noise):
    """Entries have zero mean and unit variance for every rank, but those of one matrix depend on each other.

    Attributes:
        shapes: of the weights in flat order; the last two axes of a matrix are out and in, others are a stack.
    """

    columns: int
    shapes: tuple[tuple[int, ...], ...]
    rank: int

    @property
    def draws_per_entry(self) -> float:  # type: ignore[override]
        return sum(self._sizes()) / self.columns

    @property
    def title(self) -> str:
        return f"rank {self.rank}"

    def factors(self, key: Key[Array, ""], row: Int[Array, ""]) -> list[Leaf]:
        """Noise of one row, leaf by leaf."""
        sizes = self._sizes()
        draws = jnp.split(jax.random.normal(rng.inside(key, row), (sum(sizes),)), np.cumsum(sizes)[:-1])
        return [self._leaf(draw, shape) for draw, shape in zip(draws, self.shapes, strict=True)]

    def perturbed(
        self, mean: Float[Array | np.ndarray, " param"], factors: list[Leaf], scale: Float[Array, ""]
    ) -> list[Perturbed | Array]:
        """mean + scale * noise, leaf by leaf; of a matrix as the mean and two thin matrices."""
        means = jnp.split(mean, np.cumsum([math.prod(shape) for shape in self.shapes])[:-1])
        thin = scale * np.float32(self.rank**-0.5)
        return [
            Perturbed(middle.reshape(shape), thin * leaf.left, leaf.right)
            if isinstance(leaf, Factors)
            else (middle + scale * leaf).reshape(shape)
            for middle, leaf, shape in zip(means, factors, self.shapes, strict=True)
        ]

    def block(
        self, kept: Kept, key: Key[Array, ""], rows: Int[Array, " row"], first: Index, width: int
    ) -> Float[Array, "row width"]:
        def one(row: Int[Array, ""]) -> Float[Array, " width"]:
            whole = jnp.pad(flat_noise(self.factors(key, row)), (0, width))
            return jax.lax.dynamic_slice(whole, (jnp.asarray(first, jnp.int32),), (width,))

        return jax.lax.map(one, rows)

    def sums(
        self, kept: Kept, key: Key[Array, ""], weights: RowWeights, top: Index, first: Index, width: int
    ) -> Float[Array, "sum width"]:
        """Over all columns at once: a matrix product per leaf and `ROWS_AT_ONCE` rows.

        Raises:
            ValueError: only some columns are asked for.
        """
        if width != self.columns:
            raise ValueError(f"low-rank sums are of all {self.columns} columns at once, not of {width}")
        rows = len(weights.noise)
        blocks = -(-rows // ROWS_AT_ONCE)
        padded = jax.tree.map(lambda w: jnp.pad(w, (0, blocks * ROWS_AT_ONCE - rows)).reshape(blocks, -1), weights)

        def add(block: Int[Array, ""], sums: Float[Array, "sum width"]) -> Float[Array, "sum width"]:
            numbers = top + block * ROWS_AT_ONCE + jnp.arange(ROWS_AT_ONCE)
            leaves = jax.vmap(lambda row: self.factors(key, row))(numbers)
            terms = [jnp.concatenate([weighted(padded.noise[block], leaf).reshape(-1) for leaf in leaves])]
            if weights.squares is not None:
                squares = [weighted(padded.squares[block], squared(leaf)).reshape(-1) for leaf in leaves]
                terms.append(jnp.concatenate(squares))
            return sums + jnp.stack(terms)

        return jax.lax.fori_loop(0, blocks, add, jnp.zeros((1 if weights.squares is None else 2, width)))

    def _leaf(self, draw: Float[Array, " draw"], shape: tuple[int, ...]) -> Leaf:
        if len(shape) < 2:
            return draw
        *stack, outward, inward = shape
        both = draw.reshape(*stack, outward + inward, self.rank)
        return Factors(both[..., :outward, :], both[..., outward:, :])

    def _sizes(self) -> list[int]:
        """Numbers drawn for every leaf."""
        return [
            math.prod(shape) if len(shape) < 2 else math.prod(shape[:-2]) * (shape[-2] + shape[-1]) * self.rank
            for shape in self.shapes
        ]


def flat_noise(leaves: list[Leaf]) -> Float[Array, " param"]:
    """The noise itself, flat."""
    one = jnp.ones(1)
    return jnp.concatenate([weighted(one, jax.tree.map(lambda x: x[None], leaf)).reshape(-1) for leaf in leaves])


def weighted(weights: Float[Array, " row"], leaf: Leaf) -> Float[Array, "*shape"]:
    """The sum over rows of a weight times the noise of one leaf; factors have the row as their first axis."""
    if not isinstance(leaf, Factors):
        return weights @ leaf
    left = leaf.left * weights.reshape(-1, *[1] * (leaf.left.ndim - 1))
    return jnp.einsum("n...or,n...ir->...oi", left, leaf.right) * np.float32(left.shape[-1] ** -0.5)


def squared(leaf: Leaf) -> Leaf:
    """Factors of the squares of a leaf's entries: (Σ aₖ bₖ)² = Σ (aₖ aₗ)(bₖ bₗ), of rank squared."""
    if not isinstance(leaf, Factors):
        return leaf * leaf
    return Factors(*[(x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], -1) for x in leaf])
